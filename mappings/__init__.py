"""Other people's formats to FHIR and back; pure functions, no HTTP and no SQL."""
