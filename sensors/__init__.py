"""Signals and device exports in, FHIR R4 Observations out. Pure functions: no HTTP, no SQL, no clock."""
