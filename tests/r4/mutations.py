"""One change to a valid resource: a table's row becomes a mutant."""

import copy
from typing import Any

GONE = object()


def mutate(resource: Any, path: str, value: Any) -> Any:
    """
    A deep copy with one place changed; the path is dotted JSON keys and array indexes.

    value  what to put there; GONE removes it; a function is given what is there
    """
    mutant = copy.deepcopy(resource)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = mutant
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value(place[last]) if callable(value) else value
    return mutant
