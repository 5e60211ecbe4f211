"""Line icons, 24 by 24, drawn for Backbridge; decoration only, so hidden from screen readers."""

from __future__ import annotations

from markupsafe import Markup


def icon(name: str) -> Markup:
    """The icon as inline SVG in the colour of the text around it; KeyError for an unknown name."""
    return Markup(_FRAME.format(shapes="".join(_SHAPES[name])))  # noqa: S704 - constants below


_FRAME = (
    '<svg class="icon" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">{shapes}</svg>'
)
_SHAPES = {
    "today": (
        '<circle cx="12" cy="12" r="4"/>',
        '<path d="M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"/>',
    ),
    "plan": (
        '<rect x="4" y="5" width="16" height="16" rx="2"/>',
        '<path d="M8 3v4m8-4v4M4 11h16m-11 4 2 2 4-4"/>',
    ),
    "progress": (
        '<path d="M4 4v16h16"/>',
        '<path d="m7 15 4-5 3 3 5-7"/>',
    ),
    "data": (
        '<path d="M12 3 5 6v5c0 4.6 2.9 8.2 7 10 4.1-1.8 7-5.4 7-10V6z"/>',
        '<path d="m9 12 2 2 4-4"/>',
    ),
    "people": (
        '<circle cx="9" cy="8" r="3.5"/>',
        '<path d="M3 20c0-3.6 2.6-6 6-6s6 2.4 6 6"/>',
        '<path d="M16 5a3.5 3.5 0 0 1 0 6.5M17.5 14.5c2.2.7 3.5 2.7 3.5 5.5"/>',
    ),
    "add": ('<path d="M12 5v14M5 12h14"/>',),
    "steps": (
        '<path d="M7 3c2 0 3 2.2 3 4.5S9 12 9 12H5S4 10 4 7.5 5 3 7 3z"/>',
        '<path d="M5.5 15H9v1.5a1.75 1.75 0 0 1-3.5 0z"/>',
        '<path d="M17 7c2 0 3 2 3 4.5S19 16 19 16h-4s-1-2-1-4.5S15 7 17 7z"/>',
        '<path d="M15 19h3.5v.5a1.75 1.75 0 0 1-3.5 0z"/>',
    ),
    "exercise": (
        '<circle cx="14" cy="4.5" r="2"/>',
        '<path d="m12 21 1-6-4-2 3-6 3 3h4M9 13l-1 4-4 3"/>',
    ),
    "learn": ('<path d="M12 6c-2-1.5-4.5-2-8-2v14c3.5 0 6 .5 8 2 2-1.5 4.5-2 8-2V4c-3.5 0-6 .5-8 2zm0 0v14"/>',),
    "help": ('<path d="M12 20s-7-4.3-7-9.600A4.4 4.4 0 0 1 12 7a4.4 4.4 0 0 1 7 3.400C19 15.700 12 20 12 20z"/>',),
    "alert": (
        '<path d="M12 4 2.5 20h19z"/>',
        '<path d="M12 10v4m0 3v.01"/>',
    ),
    "done": (
        '<circle cx="12" cy="12" r="9"/>',
        '<path d="m8 12 3 3 5-6"/>',
    ),
    "next": ('<path d="m9 5 7 7-7 7"/>',),
    "back": ('<path d="m15 5-7 7 7 7"/>',),
}
