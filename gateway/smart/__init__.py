"""The authorization server: SMART App Launch 2.2, at present its Backend Services (client_credentials)."""
