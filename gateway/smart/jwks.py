"""JSON Web Key Sets: what may be registered, and which key a token means (RFC 7517, RFC 7518 section 6)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa

ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
}
"""Signature algorithm → key type and curve. What is not here (none, HS*, PS*) does not exist for us."""

Jwk = Mapping[str, object]

_CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_SMALLEST_RSA_BITS, _LARGEST_RSA_BITS = 2_048, 8_192
_MOST_KEYS = 16
_LONGEST_TEXT = 64_000
_LONGEST_KID = 256


class KeyRefused(ValueError):
    """The key set cannot be registered; the message says what to change."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public signature keys that have been checked, each with only the members that a signature needs."""

    keys: tuple[dict[str, str], ...]

    def json(self) -> str:
        return json.dumps({"keys": list(self.keys)}, separators=(",", ":"), sort_keys=True)

    def find(self, kid: str, algorithm: str) -> dict[str, str] | None:
        """The one key of this kid that fits the algorithm, or None."""
        kty, curve = ALGORITHMS[algorithm]
        fits = [
            key
            for key in self.keys
            if key["kid"] == kid
            and key["kty"] == kty
            and key.get("crv", "") == curve
            and key.get("alg", algorithm) == algorithm
        ]
        return fits[0] if len(fits) == 1 else None


def read(text: str) -> KeySet:
    """
    A key set from JSON text, every key checked.

    raises  KeyRefused: not JSON, no keys, more than 16, private parts, missing or repeated kid, another kty or
            curve, RSA below 2048 bits, a point that is not on its curve, a use other than signatures
    """
    if len(text) > _LONGEST_TEXT:
        raise KeyRefused("the key set is too long")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KeyRefused("the key set is not JSON") from error
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS:
        raise KeyRefused(f'the key set is {{"keys": […]}} with 1 to {_MOST_KEYS} keys')
    return of_keys(keys)


def of_keys(keys: Sequence[object]) -> KeySet:
    """A key set from parsed keys; KeyRefused as for `read`."""
    checked = tuple(_checked(key) for key in keys)
    if len({key["kid"] for key in checked}) != len(checked):
        raise KeyRefused("every key needs a kid of its own")
    return KeySet(checked)


def public_jwk(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, *, kid: str, alg: str) -> dict[str, str]:
    """The JWK of a public key."""
    named = {"kid": kid, "use": "sig", "alg": alg}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _written(numbers.n), "e": _written(numbers.e), **named}
    point = key.public_numbers()
    size = (key.curve.key_size + 7) // 8
    curve = next(name for name, known in _CURVES.items() if known.name == key.curve.name)
    return {"kty": "EC", "crv": curve, "x": _written(point.x, size), "y": _written(point.y, size), **named}


def _checked(key: object) -> dict[str, str]:
    if not isinstance(key, dict):
        raise KeyRefused("every key is a JSON object")
    if _PRIVATE & key.keys():
        raise KeyRefused("this is a private or symmetric key: register public keys only, and replace this one")
    kid = _text(key, "kid")
    if not 1 <= len(kid) <= _LONGEST_KID:
        raise KeyRefused(f"a kid has 1 to {_LONGEST_KID} characters")
    _check_use(key)
    kept = {"RSA": _rsa, "EC": _ec}.get(_text(key, "kty"))
    if kept is None:
        raise KeyRefused("kty is RSA or EC")
    return {"kid": kid, **kept(key), **_algorithm(key)}


def _check_use(key: Jwk) -> None:
    if key.get("use", "sig") != "sig":
        raise KeyRefused("use is sig, where it is given")
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefused("key_ops contains verify, where it is given")


def _algorithm(key: Jwk) -> dict[str, str]:
    if "alg" not in key:
        return {}
    algorithm = _text(key, "alg")
    if ALGORITHMS.get(algorithm) != (key["kty"], key.get("crv", "")):
        raise KeyRefused(f"alg is one of {', '.join(ALGORITHMS)} and fits kty and crv")
    return {"alg": algorithm}


def _rsa(key: Jwk) -> dict[str, str]:
    modulus, exponent = _number(key, "n"), _number(key, "e")
    if not _SMALLEST_RSA_BITS <= modulus.bit_length() <= _LARGEST_RSA_BITS:
        raise KeyRefused(f"an RSA key has {_SMALLEST_RSA_BITS} to {_LARGEST_RSA_BITS} bits")
    # Small and even exponents break signatures; large ones make verifying them a denial of service.
    if modulus % 2 == 0 or exponent % 2 == 0 or not 65_537 <= exponent < 1 << 32:
        raise KeyRefused("the RSA modulus and exponent are odd, the exponent from 65537")
    return {"kty": "RSA", "n": _written(modulus), "e": _written(exponent)}


def _ec(key: Jwk) -> dict[str, str]:
    name = _text(key, "crv")
    curve = _CURVES.get(name)
    if curve is None:
        raise KeyRefused("crv is P-256 or P-384")
    x, y = _number(key, "x"), _number(key, "y")
    try:
        ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError as error:
        raise KeyRefused("the point is not on the curve") from error
    size = (curve.key_size + 7) // 8
    return {"kty": "EC", "crv": name, "x": _written(x, size), "y": _written(y, size)}


def _text(key: Jwk, name: str) -> str:
    value = key.get(name)
    if not isinstance(value, str):
        raise KeyRefused(f"every key needs {name}")
    return value


def _number(key: Jwk, name: str) -> int:
    text = _text(key, name)
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise KeyRefused(f"{name} is base64url") from error
    return int.from_bytes(octets, "big")


def _written(number: int, size: int | None = None) -> str:
    octets = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
