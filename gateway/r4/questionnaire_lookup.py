"""A QuestionnaireResponse beside the Questionnaire that it names, wherever that is found."""

from collections.abc import Mapping
from typing import Any

from gateway.r4.issues import Issue
from gateway.r4.questionnaire_answers import answer_issues
from gateway.r4.terminology_errors import Unusable
from gateway.r4.terminology_sources import Definitions, Find, answered, split_canonical


async def unfit_answers(response: Mapping[str, Any], find: Find) -> list[Issue]:
    """
    What in a response does not fit its questionnaire; empty where none is named, or none is found.

    response  a valid QuestionnaireResponse
    find      looks up the Questionnaire, and the value sets and code systems of its options
    """
    questionnaire = await _questionnaire(response, find)
    if questionnaire is None:
        return []
    sources = Definitions()
    try:
        return await answered(lambda: answer_issues(response, questionnaire, sources), sources, find)
    except Unusable:
        text = "The questionnaire uses too many value sets for its answers to be judged."
        return [Issue("error", "too-costly", "QuestionnaireResponse.questionnaire", text)]


async def _questionnaire(response: Mapping[str, Any], find: Find) -> Mapping[str, Any] | None:
    canonical = response.get("questionnaire")
    if not canonical:
        return None
    if canonical.startswith("#"):
        inside = (each for each in response.get("contained", ()) if each.get("id") == canonical[1:])
        return next((each for each in inside if each.get("resourceType") == "Questionnaire"), None)
    return await find("Questionnaire", *split_canonical(canonical))
