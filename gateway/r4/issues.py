"""What is wrong with a resource, as a fact (FHIR R4 OperationOutcome.issue)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """
    One finding; never holds a value of the resource, only names of elements, types and value sets.

    severity     fatal, error, warning or information
    code         an IssueType code: structure, required, value, invariant, code-invalid, ...
    expression   the place, as in Patient.name[0].given[1]; empty when the text could not be read
    diagnostics  one sentence: what is wrong and what is allowed
    """

    severity: str
    code: str
    expression: str
    diagnostics: str
