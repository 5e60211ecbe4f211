"""The catalogue holds every sentence that a page says, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.web.messages import languages, messages, preferred

WEB = Path(__file__).parents[2] / "gateway" / "web"
# Keys that are put together from a code at run time: the part that is written in the source.
_PREFIX = re.compile(r"""["'f]([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.)["'{]""")
_WHOLE = re.compile(r"""["']([a-z][a-z0-9-]*(?:\.[a-z0-9A-Z-]+)*)["']""")


def sources() -> str:
    files = [*WEB.rglob("*.py"), *WEB.rglob("*.html")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_every_key_that_a_template_names_is_in_the_catalogue() -> None:
    templates = "\n".join(path.read_text(encoding="utf-8") for path in WEB.rglob("*.html"))
    named = set(re.findall(r"""\b[tn]\(["']([a-z0-9.-]+)["'][,)]""", templates))
    assert len(named) > 200
    assert sorted(key for key in named if not messages().has(key)) == []


def test_every_entry_of_the_catalogue_is_used() -> None:
    text = sources()
    whole, prefixes = set(_WHOLE.findall(text)), set(_PREFIX.findall(text))
    # The scores are named by the two sets of words that figures.score_figure can be given.
    prefixes |= {"score.", "score.clinic."}
    unused = [key for key in messages().entries if key not in whole and not any(key.startswith(p) for p in prefixes)]
    assert unused == []


@pytest.mark.parametrize("language", languages())
def test_every_language_says_the_same_with_the_same_placeholders(language: str) -> None:
    english, other = messages("en").entries, messages(language).entries
    assert set(other) == set(english)
    for key, entry in english.items():
        forms = [entry] if isinstance(entry, str) else list(entry.values())
        said = other[key]
        others = [said] if isinstance(said, str) else list(said.values())
        assert {name for form in forms for name in re.findall(r"{(\w+)}", form)} == {
            name for form in others for name in re.findall(r"{(\w+)}", form)
        }, key


def test_an_unknown_language_gets_english_and_a_known_one_its_own() -> None:
    assert preferred("tlh, en-GB;q=0.5") == "en"
    assert preferred("") == "en"


def test_one_and_many_have_their_own_form() -> None:
    assert messages().count("start.questions", 1) == "1 question"
    assert messages().count("start.questions", 24) == "24 questions"


def test_thousands_are_grouped_and_whole_numbers_have_no_decimals() -> None:
    assert messages().number(12_345) == "12,345"
    assert messages().number(7.5) == "7.5"
    assert messages().number(7.0) == "7"
