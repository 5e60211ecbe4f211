"""Signing and verifying JWTs: the one module that touches python-jose (RFC 7515, 7519, 7523; RFC 8725).

python-jose 3.5 trusts the header's algorithm when none is named, never looks at kid, takes DER keys for HMAC
secrets and accepts tokens without exp or aud. So it only does the arithmetic here: the key is chosen, the header
read and the claims checked by this module, and it sees one checked public key and one algorithm at a time.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jws, jwt
from jose.exceptions import JOSEError

from gateway.smart.jwks import ALGORITHMS, KeySet, public_jwk

_LONGEST_TOKEN = 8_192
_LONGEST_ID = 255
# Everything else in a header (crit, b64, jwk, x5c, x5u, zip) asks for a behaviour that we do not have.
_HEADER = frozenset({"alg", "kid", "typ"})


class JoseRefused(Exception):
    """
    The token is not accepted.

    code  malformed, header, algorithm, key, signature, or claim:<name>; the message never quotes the token
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in PEM, with the public JWK to register."""

    kid: str
    algorithm: str
    jwk: dict[str, str]
    pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """The checked claims of an accepted token; `all` holds every claim."""

    issuer: str
    subject: str
    jti: str
    expires_s: float
    all: Mapping[str, object]


def generate(algorithm: Literal["RS256", "RS384", "ES256", "ES384"], kid: str | None = None) -> SigningKey:
    """A fresh key: RSA of 3072 bits, or EC on the algorithm's curve."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm.startswith("RS"):
        private = rsa.generate_private_key(public_exponent=65_537, key_size=3_072)
    else:
        private = ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())
    name = kid or secrets.token_urlsafe(12)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey(name, algorithm, public_jwk(private.public_key(), kid=name, alg=algorithm), pem.decode())


def sign(claims: Mapping[str, object], key: str, alg: str, kid: str) -> str:
    """A signed JWT; `key` is a private key in PEM. ValueError for an algorithm or key that does not fit."""
    if alg not in ALGORITHMS:
        raise ValueError(f"{alg} is not one of {', '.join(ALGORITHMS)}")
    try:
        return jwt.encode(dict(claims), key, algorithm=alg, headers={"kid": kid})
    except JOSEError as error:
        raise ValueError("the key does not fit the algorithm") from error


def unverified_issuer(token: str) -> str:
    """Who the token says it is from, to look the key set up. Nothing else of it may be believed before `verify`."""
    _, payload = _parts(token)
    issuer = payload.get("iss")
    if not isinstance(issuer, str) or not 1 <= len(issuer) <= _LONGEST_ID:
        raise JoseRefused("claim:iss", "iss is missing")
    return issuer


def verify(
    token: str,
    *,
    keys: KeySet,
    algorithms: Collection[str],
    audience: str,
    issuer: str,
    subject: str,
    now_s: float,
    longest_s: int = 300,
    leeway_s: int = 30,
) -> Claims:
    """
    The claims of a JWT that one of the keys has signed for us, just now.

    keys        the signer's registered keys; the header's kid picks exactly one that fits the algorithm
    algorithms  those accepted, out of RS256, RS384, ES256, ES384
    audience    must be aud, or one of aud
    longest_s   how far ahead exp may lie
    raises      JoseRefused; the signature is judged before the claims, so a stranger learns nothing of them
    """
    if not algorithms or not set(algorithms) <= ALGORITHMS.keys():
        raise ValueError("name the algorithms that are accepted")
    header, _ = _parts(token)
    algorithm, kid = _checked_header(header, algorithms)
    key = keys.find(kid, algorithm)
    if key is None:
        raise JoseRefused("key", "no registered key has this kid, key type and algorithm")
    try:
        payload = _object(jws.verify(token, key, [algorithm]), "claims")
    except JOSEError as error:
        raise JoseRefused("signature", "the signature is not valid") from error
    _check_parties(payload, audience, issuer, subject)
    expires_s = _check_times(payload, now_s, longest_s, leeway_s)
    return Claims(issuer, subject, _text(payload, "jti"), expires_s, payload)


def _parts(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Header and claims, unverified."""
    if len(token) > _LONGEST_TOKEN:
        raise JoseRefused("malformed", f"the token is longer than {_LONGEST_TOKEN} characters")
    if token.count(".") != 2:
        raise JoseRefused("malformed", "the token does not have three parts")
    header, claims, signature = token.split(".")
    # python-jose would skip what is not base64 here.
    _octets(signature)
    return _object(_octets(header), "header"), _object(_octets(claims), "claims")


def _octets(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise JoseRefused("malformed", "the token is not base64url") from error


def _object(text: bytes, name: str) -> dict[str, object]:
    try:
        found = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise JoseRefused("malformed", f"the {name} is not JSON") from error
    if not isinstance(found, dict):
        raise JoseRefused("malformed", f"the {name} is not a JSON object")
    return found


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _checked_header(header: Mapping[str, object], algorithms: Collection[str]) -> tuple[str, str]:
    if unknown := header.keys() - _HEADER:
        raise JoseRefused("header", f"the header may hold alg, kid and typ; {len(unknown)} more found")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise JoseRefused("algorithm", f"alg is one of {', '.join(sorted(algorithms))}")
    if not isinstance(kid, str) or not kid:
        raise JoseRefused("key", "kid is missing")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() != "JWT":
        raise JoseRefused("header", "typ is JWT")
    return algorithm, kid


def _check_parties(claims: Mapping[str, object], audience: str, issuer: str, subject: str) -> None:
    for name, expected in (("iss", issuer), ("sub", subject)):
        if _text(claims, name) != expected:
            raise JoseRefused(f"claim:{name}", f"{name} is not the expected one")
    found = claims.get("aud")
    if found is None:
        raise JoseRefused("claim:aud", "aud is missing")
    if audience not in (found if isinstance(found, list) else [found]):
        raise JoseRefused("claim:aud", f"aud is not {audience}")


def _check_times(claims: Mapping[str, object], now_s: float, longest_s: int, leeway_s: int) -> float:
    """exp in seconds, after exp, nbf and iat have been found sound."""
    expires_s = _seconds(claims, "exp")
    if expires_s is None:
        raise JoseRefused("claim:exp", "exp is missing")
    if expires_s <= now_s - leeway_s:
        raise JoseRefused("claim:exp", "the token has expired")
    if expires_s > now_s + longest_s + leeway_s:
        raise JoseRefused("claim:exp", f"exp lies more than {longest_s} seconds ahead")
    for name in ("nbf", "iat"):
        moment_s = _seconds(claims, name)
        if moment_s is not None and not moment_s <= min(now_s + leeway_s, expires_s):
            raise JoseRefused(f"claim:{name}", f"{name} lies in the future")
    return expires_s


def _seconds(claims: Mapping[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    # Not a number: true, "1700000000", NaN, Infinity, or an integer too large for any clock.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 53:
        raise JoseRefused(f"claim:{name}", f"{name} is not a number of seconds")
    return float(value)


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_ID:
        raise JoseRefused(f"claim:{name}", f"{name} is missing")
    return value
