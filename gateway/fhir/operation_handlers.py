"""The handler of each operation, by its code in `operations.py`."""

from __future__ import annotations

from gateway.fhir import document, everything, match, meta, terminology, validation
from gateway.fhir.exchange import Handler

OPERATION_HANDLERS: dict[str, Handler] = {
    "Resource-validate": validation.validate,
    "Resource-meta": meta.meta,
    "Resource-meta-add": meta.meta_add,
    "Resource-meta-delete": meta.meta_delete,
    "Patient-everything": everything.everything,
    "Patient-match": match.match,
    "Composition-document": document.document,
    "ValueSet-expand": terminology.expand,
    "ValueSet-validate-code": terminology.validate_in_value_set,
    "CodeSystem-validate-code": terminology.validate_in_code_system,
    "CodeSystem-lookup": terminology.lookup,
    "CodeSystem-subsumes": terminology.subsumes,
    "ConceptMap-translate": terminology.translate,
}
