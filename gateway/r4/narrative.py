"""Is a narrative safe to show (FHIR R4 narrative, section 2.25.0.2: rules txt-1 and txt-2).

The div is read as XML with an allow-list of elements and attributes. A browser may read the same text as HTML,
so what the two read differently (CDATA, comments that HTML ends early) is refused as well.
"""

import re
from xml.parsers import expat

import jsonschema_rs

from gateway.r4.definitions import rows

_XHTML = "http://www.w3.org/1999/xhtml "
_ELEMENTS = frozenset(_XHTML + row["name"] for row in rows("narrative.csv") if row["kind"] == "element")
_ATTRIBUTES = frozenset(row["name"] for row in rows("narrative.csv") if row["kind"] == "attribute") | {
    "http://www.w3.org/XML/1998/namespace lang",
    "http://www.w3.org/XML/1998/namespace space",
}
_LINKS = frozenset({"href", "src", "cite", "longdesc"})
_IGNORED_BY_BROWSERS = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_SAFE_SCHEMES = frozenset({"http", "https", "mailto", "tel", "urn", "ftp", "cid"})
_INLINE_IMAGE = r"data:image/(?:png|gif|jpeg|jpg|webp);base64,[a-z0-9+/=]*"
_RASTER = re.compile(_INLINE_IMAGE)
# A bare file name cannot leave the server that shows the page and an inline image needs no loading;
# the specification's own examples use both.
_OWN_IMAGE = re.compile(rf"url\((?P<quote>['\"]?)(?:[\w.-]+|{_INLINE_IMAGE})(?P=quote)\)")
_STYLE_DANGER = re.compile(r"url\(|expression|@import|javascript|binding|behavior|\\|/\*|<")


def _plain_pattern() -> str:
    """A div whose tags can do no harm whatever they hold: no links, no styles, nothing but text between them."""
    elements = "|".join(sorted(name.removeprefix(_XHTML) for name in _ELEMENTS))
    attributes = "|".join(sorted(name for name in _ATTRIBUTES - _LINKS - {"style"} if " " not in name))
    tag = rf'</?(?:{elements})(?:\s+(?:{attributes})="[^"<]*")*\s*/?>'
    return rf'^<div xmlns="http://www\.w3\.org/1999/xhtml">(?:[^<]|{tag})*$'


# In the schema's engine, whose time is linear in the length of the text.
_PLAIN = jsonschema_rs.Draft4Validator(
    {"type": "string", "pattern": _plain_pattern()}, pattern_options=jsonschema_rs.RegexOptions()
)
_CONTENT = re.compile(r">\s*[^\s<]")


class _Refused(Exception):
    """The narrative breaks a rule; the message says which."""


def narrative_problem(div: str) -> str | None:
    """
    Why the text of Narrative.div is refused, in a sentence that starts with the rule; None when it is safe.

    The sentence names elements and attributes only when they are plain names, never their content.
    """
    if _is_plain(div):
        return None
    reader = _Reader()
    try:
        reader.read(div)
    except _Refused as refusal:
        return str(refusal)
    except expat.ExpatError:
        return "txt-1: the narrative is not well-formed XHTML."
    return None if reader.has_content else "txt-2: the narrative has no content."


def _is_plain(div: str) -> bool:
    """Certainly safe: every tag is a plain one, there is text, and the whole is well-formed."""
    try:
        if not _PLAIN.is_valid(div) or _CONTENT.search(div) is None:
            return False
        expat.ParserCreate().Parse(div, True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True


class _Reader:
    """One pass of the XML parser over one div."""

    def __init__(self) -> None:
        self.has_content = False
        self._is_root = True

    def read(self, div: str) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._comment
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartCdataSectionHandler = self._cdata
        try:
            parser.Parse(div, True)
        except UnicodeEncodeError:
            raise _Refused("txt-1: the narrative is not well-formed XHTML.") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_root:
            self._is_root = False
            if name != _XHTML + "div":
                raise _Refused(f"txt-1: the root must be <div> in the namespace {_XHTML.strip()}.")
        elif name not in _ELEMENTS:
            raise _Refused(f"txt-1: {_named('the element', name)} is not allowed in a narrative.")
        if name == _XHTML + "img":
            self.has_content = True
        for attribute, value in attributes.items():
            _check_attribute(attribute, value, name)

    def _text(self, text: str) -> None:
        if not self.has_content:
            self.has_content = not text.isspace()

    def _comment(self, text: str) -> None:
        if text.startswith((">", "->")):
            raise _Refused("txt-1: a comment of the narrative would end early in HTML.")

    def _doctype(self, *_: object) -> None:
        raise _Refused("txt-1: a document type declaration is not allowed in a narrative.")

    def _instruction(self, *_: object) -> None:
        raise _Refused("txt-1: a processing instruction is not allowed in a narrative.")

    def _cdata(self) -> None:
        raise _Refused("txt-1: a CDATA section is not allowed in a narrative.")


def _check_attribute(attribute: str, value: str, element: str) -> None:
    if attribute not in _ATTRIBUTES:
        raise _Refused(f"txt-1: {_named('the attribute', attribute)} is not allowed in a narrative.")
    if attribute in _LINKS and not _is_safe_link(value, is_image=element == _XHTML + "img"):
        raise _Refused(f"txt-1: the link in the attribute {attribute} is not allowed in a narrative.")
    if attribute == "style" and not _is_safe_style(value):
        raise _Refused("txt-1: a style that loads or runs something is not allowed in a narrative.")


def _is_safe_link(value: str, is_image: bool) -> bool:
    link = _IGNORED_BY_BROWSERS.sub("", value).lower()
    scheme = _SCHEME.match(link)
    if scheme is None or scheme[1] in _SAFE_SCHEMES:
        return True
    return is_image and _RASTER.fullmatch(link) is not None


def _is_safe_style(value: str) -> bool:
    style = _IGNORED_BY_BROWSERS.sub("", value).lower()
    return _STYLE_DANGER.search(_OWN_IMAGE.sub("", style)) is None


def _named(noun: str, name: str) -> str:
    local = name.rpartition(" ")[2]
    return f"{noun} {local}" if local.isascii() and local.isalnum() and len(local) <= 20 else f"this {noun[4:]}"
