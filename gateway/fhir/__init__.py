"""The FHIR R4 REST protocol over the store (R4 section 3.1.0): one module per interaction."""
