"""What the terminology engine cannot answer, as facts (FHIR R4 terminology service, section 4.6).

TerminologyError
├── UnknownDefinition   no such code system, value set or concept map here
├── UnknownCode         the code system has no such code
├── NotHeld             the content of the code system is not on this server, so nothing can be said of its codes
├── CannotEnumerate     the value set has too many codes, or is open
└── Unusable            the definition or the question cannot be worked with

Wanted is not an error: it names a definition that the caller may have.
"""


class TerminologyError(Exception):
    """The question cannot be answered; status and code are those of the OperationOutcome."""

    status = 422
    code = "processing"


class UnknownDefinition(TerminologyError):
    status = 404
    code = "not-found"


class UnknownCode(TerminologyError):
    status = 404
    code = "not-found"


class NotHeld(TerminologyError):
    code = "not-supported"


class CannotEnumerate(TerminologyError):
    code = "too-costly"


class Unusable(TerminologyError):
    code = "not-supported"


class Wanted(Exception):
    """A definition that is not known yet: look it up, add it to the Definitions, and ask again."""

    def __init__(self, type: str, url: str, version: str = "") -> None:
        super().__init__(type)
        self.type = type
        self.url = url
        self.version = version
