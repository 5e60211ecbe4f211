"""Language tags by RFC 5646 and the registry; most are the examples of its appendix A."""

import pytest

from gateway.r4.languages import is_language_tag, usual_tags


@pytest.mark.parametrize(
    "tag",
    [
        "de", "fr", "ja", "i-enochian", "zh-Hant", "zh-Hans", "sr-Cyrl", "sr-Latn", "zh-cmn-Hans-CN", "cmn-Hans-CN",
        "zh-yue-HK", "yue-HK", "zh-Hans-CN", "sr-Latn-RS", "sl-rozaj", "sl-rozaj-biske", "sl-nedis", "de-CH-1901",
        "sl-IT-nedis", "hy-Latn-IT-arevela", "de-DE", "en-US", "es-419", "de-CH-x-phonebk", "az-Arab-x-AZE-derbend",
        "x-whatever", "qaa-Qaaa-QM-x-southern", "de-Qaaa", "sr-Latn-QM", "sr-Qaaa-RS", "en-US-u-islamcal",
        "zh-CN-a-myext-x-private", "en-a-myext-b-another", "EN-gb", "nl-BE", "no-bok", "art-lojban",
    ],
)  # fmt: skip
def test_a_registered_tag_is_one(tag: str) -> None:
    assert is_language_tag(tag)


@pytest.mark.parametrize(
    "tag",
    [
        "de-419-DE", "a-DE", "ar-a-aaa-b-bbb-a-ccc", "", "en-", "en_GB", "english", "xx", "en-UK", "en-XYZ",
        "de-1901-1901", "sr-Abcx", "e", "en-GB-", " en", "en-GB ", "qa", "-en",
    ],
)  # fmt: skip
def test_what_the_registry_does_not_have_is_none(tag: str) -> None:
    assert not is_language_tag(tag)


def test_the_usual_tags_are_all_valid() -> None:
    languages, regions = usual_tags().split(")(?:-(?:")
    some = [f"{a}-{b}" for a in languages[3:].split("|")[::9] for b in regions[:-3].split("|")[::19]]
    assert len(some) > 200
    assert [tag for tag in some if not is_language_tag(tag)] == []
