"""The versioned wording of consents (texts.csv): what the patient is shown, and a consent in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consent.vocabulary import table

CURRENT = "1"


class NoWording(LookupError):
    """There is no consent text for this version, language or choice."""


class Wording:
    """The texts of one version in one language."""

    def __init__(self, version: str, language: str) -> None:
        self._texts = TEXTS.get((version, language), {})
        if not self._texts:
            raise NoWording(f"version {version} has no text in the language {language}")

    def text(self, key: str, **parts: str) -> str:
        """The text with its parts put in."""
        if key not in self._texts:
            raise NoWording(f"there is no text for {key}")
        return self._texts[key].format_map(parts)

    def listed(self, kind: str, codes: Sequence[str]) -> str:
        """The codes of a kind in words: `a, b and c`."""
        words = [self.text(f"{kind}.{code}") for code in codes]
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])} {self.text('and')} {words[-1]}"


def languages(version: str = CURRENT) -> tuple[str, ...]:
    """The languages in which this version can be shown."""
    return tuple(sorted(language for each, language in TEXTS if each == version))


TEXTS: dict[tuple[str, str], Mapping[str, str]] = {}
for _row in table("texts"):
    TEXTS[_row["version"], _row["language"]] = {
        **TEXTS.get((_row["version"], _row["language"]), {}),
        _row["key"]: _row["text"],
    }
