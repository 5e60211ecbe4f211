"""Every operation, in one table: it drives the router, the CapabilityStatement and the contract (R4 section 3.2).

The handlers are in `operation_handlers.py`, by the code of the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_CANONICAL = "http://hl7.org/fhir/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Operation:
    """
    code           the last part of its OperationDefinition's URL, and the key of its handler
    types          resource types it is for; empty for every type
    letters        by level (system, type, instance): the letter of `cruds` that a scope must have; empty where the
                   handler asks itself, or nothing that is stored is touched
    parameters     the input parameters that this server understands
    affects_state  whether it can change what is stored; then GET is not for it
    bare           the parameter that a body stands for which is not a Parameters resource
    """

    code: str
    types: tuple[str, ...]
    letters: Mapping[str, str]
    parameters: tuple[str, ...]
    affects_state: bool = False
    bare: str = ""

    @property
    def name(self) -> str:
        """As it stands in a URL, after the dollar sign."""
        return self.code.partition("-")[2]

    @property
    def definition(self) -> str:
        return _CANONICAL + self.code


# To search for a definition, or to read one.
_BOTH = {"type": "s", "instance": "r"}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OPERATIONS: tuple[Operation, ...] = (
    Operation("Resource-validate", (), {"type": "", "instance": "r"}, ("resource", "mode", "profile"), bare="resource"),
    Operation("Resource-meta", (), {"instance": "r"}, ()),
    Operation("Resource-meta-add", (), {"instance": "u"}, ("meta",), affects_state=True),
    Operation("Resource-meta-delete", (), {"instance": "u"}, ("meta",), affects_state=True),
    Operation(
        "Patient-everything",
        ("Patient",),
        {"instance": "r"},
        ("start", "end", "_since", "_type", "_count", "_cursor"),
    ),
    Operation(
        "Patient-match", ("Patient",), {"type": "s"}, ("resource", "onlyCertainMatches", "count"), bare="resource"
    ),
    Operation("Composition-document", ("Composition",), {"instance": "r"}, ("persist",)),
    Operation(
        "ValueSet-expand",
        ("ValueSet",),
        _BOTH,
        _words(
            "url valueSet valueSetVersion filter offset count includeDesignations designation "
            "includeDefinition activeOnly excludeNested excludeNotForUI excludePostCoordinated "
            "displayLanguage exclude-system date"
        ),
    ),
    Operation(
        "ValueSet-validate-code",
        ("ValueSet",),
        _BOTH,
        _words(
            "url valueSet valueSetVersion code system systemVersion display coding codeableConcept abstract "
            "displayLanguage date"
        ),
    ),
    Operation(
        "CodeSystem-validate-code",
        ("CodeSystem",),
        _BOTH,
        _words("url codeSystem code version display coding codeableConcept abstract displayLanguage date"),
    ),
    Operation(
        "CodeSystem-lookup",
        ("CodeSystem",),
        {"type": "s"},
        _words("code system version coding displayLanguage property date"),
    ),
    Operation("CodeSystem-subsumes", ("CodeSystem",), _BOTH, _words("codeA codeB system version codingA codingB")),
    Operation(
        "ConceptMap-translate",
        ("ConceptMap",),
        _BOTH,
        _words(
            "url conceptMap conceptMapVersion code system version source coding codeableConcept target "
            "targetsystem reverse"
        ),
    ),
)
BY_CODE = {operation.code: operation for operation in OPERATIONS}


def operations_of(resource_type: str) -> list[Operation]:
    """The operations on a type or its instances."""
    return [
        operation
        for operation in OPERATIONS
        if (not operation.types or resource_type in operation.types) and operation.letters.keys() != {"system"}
    ]
