"""FHIR R4 (4.0.1) as data: definitions, validation, search extraction. A leaf: imports none of our packages."""
