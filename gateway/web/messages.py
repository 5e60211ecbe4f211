"""The message catalogue: every sentence of the pages, one JSON file a language, keys such as `today.title`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

DEFAULT_LANGUAGE = "en"
_HERE = resources.files(__package__).joinpath("messages")

Entry = str | Mapping[str, str]


@dataclass(frozen=True)
class Messages:
    """The sentences of one language. An unknown key is a KeyError, so that a page cannot show a hole."""

    language: str
    entries: Mapping[str, Entry]

    def __call__(self, key: str, **values: object) -> str:
        """The sentence with its {placeholders} filled in."""
        entry = self.entries[key]
        if not isinstance(entry, str):
            raise TypeError(f"{key} has plural forms: use count")
        return entry.format(**values)

    def count(self, key: str, number: int, **values: object) -> str:
        """The plural form for a number: `one` for one, else `other` (CLDR rules of English)."""
        entry = self.entries[key]
        if isinstance(entry, str):
            raise TypeError(f"{key} has no plural forms")
        form = entry["one" if number == 1 else "other"]
        return form.format(number=self.number(number), **values)

    def has(self, key: str) -> bool:
        return key in self.entries

    def number(self, value: float) -> str:
        """A number as people write it in this language: 6,500 or 7.5."""
        text = f"{value:,.1f}".removesuffix(".0")
        groups = {",": self("number.group"), ".": self("number.decimal")}
        return "".join(groups.get(character, character) for character in text)


@cache
def messages(language: str = DEFAULT_LANGUAGE) -> Messages:
    """The catalogue of a language; KeyError for one that has none."""
    if language not in languages():
        raise KeyError(language)
    text = _HERE.joinpath(f"{language}.json").read_text(encoding="utf-8")
    return Messages(language, json.loads(text))


@cache
def languages() -> tuple[str, ...]:
    """The languages that have a catalogue."""
    names = (each.name for each in _HERE.iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def preferred(accept_language: str) -> str:
    """The first language of an Accept-Language header that has a catalogue; English otherwise."""
    for part in accept_language.split(","):
        language = part.partition(";")[0].strip().lower().partition("-")[0]
        if language in languages():
            return language
    return DEFAULT_LANGUAGE
