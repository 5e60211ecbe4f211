"""Bringing files of FHIR resources in: read entry by entry, sent through the front door, resumable."""
