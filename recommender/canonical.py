"""The canonical addresses of everything the recommender publishes (FHIR R4, references.html#canonical)."""

from __future__ import annotations

BASE = "https://backbridge.example/fhir"

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
MIN_VALUE = "http://hl7.org/fhir/StructureDefinition/minValue"
MAX_VALUE = "http://hl7.org/fhir/StructureDefinition/maxValue"

SCORE_SYSTEM = f"{BASE}/CodeSystem/score"
SCORE_IDENTIFIER = f"{BASE}/NamingSystem/score-observation"

EXERCISE_SYSTEM = f"{BASE}/CodeSystem/exercise"
EDUCATION_SYSTEM = f"{BASE}/CodeSystem/education-message"
ACTIVITY_SYSTEM = f"{BASE}/CodeSystem/plan-activity"
RULE_SYSTEM = f"{BASE}/CodeSystem/plan-rule"
PLAN_CATEGORY_SYSTEM = f"{BASE}/CodeSystem/plan-category"
PLAN_CATEGORY = "self-management"
PLAN_IDENTIFIER = f"{BASE}/NamingSystem/weekly-plan"
ALGORITHM_IDENTIFIER = f"{BASE}/NamingSystem/algorithm"
STEP_BASELINE = f"{BASE}/StructureDefinition/step-baseline"

SAFETY_SYSTEM = f"{BASE}/CodeSystem/safety"
RED_FLAG_REVIEW = "red-flag-review"
RED_FLAG_CLEARED = "cleared"

STEPS_PER_DAY = "41950-7"
DEVICE_ACTIVE_PERCENTAGE = "DeviceActivePercentage"


def questionnaire(name: str) -> str:
    """The canonical of an instrument, without a version."""
    return f"{BASE}/Questionnaire/{name}"
