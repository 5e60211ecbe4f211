"""The one exception to "hidden means absent": a person who is registered already is not registered twice.

Creating a Patient with a verified NHS number that exists links the organisation to that Patient and tells it only that
registration succeeded; a duplicate person would be a clinical hazard (docs/decisions/0007-care-relationships.md).
The birth date must agree as well: a number that was mistyped into somebody else's is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.r4.search_parameters import PARAMETERS
from gateway.store.query import Match, Search, Token

NHS_NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
# UK Core, Extension-UKCore-NHSNumberVerificationStatus.
VERIFICATION_STATUS = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
VERIFICATION_SYSTEM = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland"
VERIFIED = "number-present-and-verified"


@dataclass(frozen=True, slots=True)
class Registration:
    """The search, over all patients there are, for a verified NHS number, and the birth date that goes with it."""

    search: Search
    born: str

    def same_person(self, body: bytes | None) -> bool:
        """Whether the Patient found is the person registered; a number alone may be mistyped."""
        return bool(self.born) and json.loads(body or b"{}").get("birthDate") == self.born


def of(patient: Mapping[str, Any]) -> Registration | None:
    """How to find whoever has this Patient's NHS number; None where the number is missing or not verified."""
    for identifier in patient.get("identifier", ()):
        if identifier.get("system") == NHS_NUMBER_SYSTEM and identifier.get("value") and _is_verified(identifier):
            number = Token(identifier["value"], NHS_NUMBER_SYSTEM)
            clause = Match(PARAMETERS["Patient"]["identifier"], (number,))
            search = Search(types=("Patient",), where=((clause,),), count=1)
            return Registration(search, patient.get("birthDate", ""))
    return None


def verified() -> dict[str, Any]:
    """The extension by which a registering clinician states that the number was checked."""
    coding = {"system": VERIFICATION_SYSTEM, "code": VERIFIED}
    return {"url": VERIFICATION_STATUS, "valueCodeableConcept": {"coding": [coding]}}


def _is_verified(identifier: Mapping[str, Any]) -> bool:
    return any(
        coding.get("code") == VERIFIED
        for extension in identifier.get("extension", ())
        if extension.get("url") == VERIFICATION_STATUS
        for coding in extension.get("valueCodeableConcept", {}).get("coding", ())
    )
