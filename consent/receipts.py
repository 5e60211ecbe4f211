"""A receipt of a consent that the patient can keep, and check later (after ISO/IEC TS 27560, consent records)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from consent.forms import describe, text_version

# What the server adds or renders is not part of what was agreed to.
_NOT_AGREED = ("id", "meta", "text")


def receipt(consent: Mapping[str, Any], language: str) -> dict[str, Any]:
    """
    What was agreed to, when, in which words, as plain JSON; raises NoWording as `describe` does.

    digest   SHA-256 over the Consent in canonical JSON, without id, meta and narrative
    """
    attachment = consent.get("sourceAttachment", {})
    return {
        "schema": "backbridge-consent-receipt-1",
        "patient": consent["patient"]["reference"],
        "recipients": [actor["reference"]["reference"] for actor in consent["provision"]["actor"]],
        "status": consent["status"],
        "given": consent.get("dateTime"),
        "language": language,
        "summary": describe(consent, language),
        "agreed_text": base64.b64decode(attachment.get("data", "")).decode(),
        "agreed_text_language": attachment.get("language"),
        "agreed_text_version": text_version(consent),
        "digest": digest(consent),
    }


def digest(consent: Mapping[str, Any]) -> str:
    """SHA-256 in hexadecimal over the canonical JSON: sorted names, no white space, UTF-8."""
    agreed = {name: value for name, value in consent.items() if name not in _NOT_AGREED}
    canonical = json.dumps(agreed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def is_receipt_of(kept: Mapping[str, Any], consent: Mapping[str, Any]) -> bool:
    """Whether the receipt was made for exactly this version of the Consent."""
    return bool(kept.get("digest") == digest(consent))
