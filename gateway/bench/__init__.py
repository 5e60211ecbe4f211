"""Benchmarks of any FHIR server: one loader, one way to measure, the same data for all (docs/performance.md)."""
