"""Every token that must be refused, and why; forged by hand, without the library under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smart import jose
from gateway.smart.jose import Claims, JoseRefused, SigningKey
from gateway.smart.jwks import KeySet, of_keys

NOW_S = 1_800_000_000
AUD = "https://gateway.example/auth/token"
BOTH = ("RS384", "ES384")


def claims(**changed: object) -> dict[str, object]:
    usual = {"iss": "ward", "sub": "ward", "aud": AUD, "exp": NOW_S + 300, "jti": "j-1"}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def accept(token: str, keys: KeySet, algorithms: tuple[str, ...] = BOTH, now_s: float = NOW_S) -> Claims:
    return jose.verify(
        token,
        keys=keys,
        algorithms=algorithms,
        audience=AUD,
        issuer="ward",
        subject="ward",
        now_s=now_s,
    )


def refusal(token: str, keys: KeySet, algorithms: tuple[str, ...] = BOTH) -> str:
    with pytest.raises(JoseRefused) as refused:
        accept(token, keys, algorithms)
    assert token not in f"{refused.value} {refused.value!r}" or not token
    return refused.value.code


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def forged(header: object, payload: object, signature: Callable[[bytes], bytes]) -> str:
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    signed = ".".join(b64(text.encode()) for text in texts)
    return f"{signed}.{b64(signature(signed.encode()))}"


def ec_signature(key: SigningKey) -> Callable[[bytes], bytes]:
    """ES384 by the cryptography package alone: r and s side by side (RFC 7518, section 3.4)."""
    private = serialization.load_pem_private_key(key.pem.encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)

    def signature(signed: bytes) -> bytes:
        r, s = utils.decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    return signature


def rsa_signature(key: SigningKey) -> Callable[[bytes], bytes]:
    private = serialization.load_pem_private_key(key.pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return lambda signed: private.sign(signed, padding.PKCS1v15(), hashes.SHA384())


@pytest.fixture(scope="session")
def keys(ec_key: SigningKey, rsa_key: SigningKey) -> KeySet:
    return of_keys([ec_key.jwk, rsa_key.jwk])


def header(key: SigningKey, **changed: object) -> dict[str, object]:
    usual = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def test_what_we_sign_we_accept(ec_key: SigningKey, rsa_key: SigningKey, keys: KeySet) -> None:
    for key in (ec_key, rsa_key):
        found = accept(jose.sign(claims(), key.pem, key.algorithm, key.kid), keys)
        assert (found.issuer, found.jti, found.expires_s) == ("ward", "j-1", NOW_S + 300)


def test_what_others_sign_we_accept_and_what_we_sign_others_accept(
    ec_key: SigningKey, rsa_key: SigningKey, keys: KeySet
) -> None:
    """The cryptography package is the independent oracle of both directions."""
    assert accept(forged(header(ec_key), claims(), ec_signature(ec_key)), keys).jti == "j-1"
    assert accept(forged(header(rsa_key), claims(), rsa_signature(rsa_key)), keys).jti == "j-1"
    signed, _, signature = jose.sign(claims(), rsa_key.pem, "RS384", "rsa-1").rpartition(".")
    assert b64(rsa_signature(rsa_key)(signed.encode())) == signature


def test_aud_may_be_a_list_with_us_in_it(ec_key: SigningKey, keys: KeySet) -> None:
    token = jose.sign(claims(aud=[AUD, "https://elsewhere.example"]), ec_key.pem, "ES384", "ec-1")
    assert accept(token, keys).jti == "j-1"


def test_typ_may_be_absent(ec_key: SigningKey, keys: KeySet) -> None:
    assert accept(forged(header(ec_key, typ=None), claims(), ec_signature(ec_key)), keys).jti == "j-1"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "nOnE", None, 7])
def test_alg_none_is_refused(ec_key: SigningKey, keys: KeySet, alg: object) -> None:
    assert refusal(forged(header(ec_key, alg=alg), claims(), lambda _: b""), keys) == "algorithm"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["pem", "der", "jwk", "n"])
@pytest.mark.parametrize("algorithms", [BOTH, ("RS256", "RS384", "ES256", "ES384")])
def test_public_key_is_no_hmac_secret(
    rsa_key: SigningKey, keys: KeySet, alg: str, form: str, algorithms: tuple[str, ...]
) -> None:
    private = serialization.load_pem_private_key(rsa_key.pem.encode(), None)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key()
    secret = {
        "pem": public.public_bytes(serialization.Encoding.PEM, spki),
        "der": public.public_bytes(serialization.Encoding.DER, spki),
        "jwk": json.dumps(rsa_key.jwk).encode(),
        "n": rsa_key.jwk["n"].encode(),
    }[form]
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
    token = forged(header(rsa_key, alg=alg), claims(), lambda signed: hmac.new(secret, signed, digest).digest())
    assert refusal(token, keys, algorithms) == "algorithm"


def test_algorithm_that_is_not_named_is_refused_though_the_key_fits(rsa_key: SigningKey, keys: KeySet) -> None:
    assert refusal(jose.sign(claims(), rsa_key.pem, "RS256", "rsa-1"), keys) == "algorithm"
    assert refusal(jose.sign(claims(), rsa_key.pem, "RS384", "rsa-1"), keys, ("ES384",)) == "algorithm"


def test_key_registered_for_one_algorithm_serves_no_other(rsa_key: SigningKey, keys: KeySet) -> None:
    token = jose.sign(claims(), rsa_key.pem, "RS256", "rsa-1")
    assert refusal(token, keys, ("RS256", "RS384")) == "key"


def test_curve_must_fit_the_algorithm(keys: KeySet) -> None:
    p256 = jose.generate("ES256", "ec-1")
    assert refusal(jose.sign(claims(), p256.pem, "ES256", "ec-1"), keys, ("ES256", "ES384")) == "key"


def test_kid_of_the_other_key_type_is_refused(ec_key: SigningKey, rsa_key: SigningKey, keys: KeySet) -> None:
    assert refusal(forged(header(ec_key, kid="rsa-1"), claims(), ec_signature(ec_key)), keys) == "key"
    assert refusal(forged(header(rsa_key, kid="ec-1"), claims(), rsa_signature(rsa_key)), keys) == "key"


@pytest.mark.parametrize("kid", ["other", "../../etc/passwd", "' OR 1=1 --", "", None, 1, ["ec-1"], "ec-1\n"])
def test_kid_that_is_not_registered_is_refused(ec_key: SigningKey, keys: KeySet, kid: object) -> None:
    assert refusal(forged(header(ec_key, kid=kid), claims(), ec_signature(ec_key)), keys) == "key"


def test_signature_of_a_stranger_is_refused(keys: KeySet) -> None:
    stranger = jose.generate("ES384", "ec-1")
    assert refusal(jose.sign(claims(), stranger.pem, "ES384", "ec-1"), keys) == "signature"


def test_changed_claims_break_the_signature(ec_key: SigningKey, keys: KeySet) -> None:
    head, _, signature = jose.sign(claims(), ec_key.pem, "ES384", "ec-1").split(".")
    changed = b64(json.dumps(claims(jti="j-2")).encode())
    assert refusal(f"{head}.{changed}.{signature}", keys) == "signature"


@pytest.mark.parametrize("signature", [b"", b"\0" * 96, b"\xff" * 96, b"\0" * 95, b"\0" * 512])
def test_degenerate_signatures_are_refused(ec_key: SigningKey, keys: KeySet, signature: bytes) -> None:
    assert refusal(forged(header(ec_key), claims(), lambda _: signature), keys) == "signature"


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"b64": False},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x"},
        {"x5c": ["MIIB"]},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"zip": "DEF"},
        {"typ": "at+jwt"},
        {"typ": 1},
        {"enc": "A256GCM"},
    ],
)
def test_header_that_asks_for_anything_else_is_refused(
    ec_key: SigningKey, keys: KeySet, extra: dict[str, object]
) -> None:
    assert refusal(forged({**header(ec_key), **extra}, claims(), ec_signature(ec_key)), keys) == "header"


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "jti"])
def test_required_claim_may_not_be_missing(ec_key: SigningKey, keys: KeySet, name: str) -> None:
    token = jose.sign(claims(**{name: None}), ec_key.pem, "ES384", "ec-1")
    assert refusal(token, keys) == f"claim:{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "other"),
        ("iss", ""),
        ("iss", 7),
        ("sub", "other"),
        ("sub", ["ward"]),
        ("aud", "https://gateway.example/auth/token/"),
        ("aud", "http://gateway.example/auth/token"),
        ("aud", "https://gateway.example/fhir"),
        ("aud", []),
        ("aud", {}),
        ("aud", [[AUD]]),
        ("aud", True),
        ("jti", ""),
        ("jti", 1),
        ("jti", "x" * 256),
        ("exp", NOW_S - 30),
        ("exp", NOW_S + 331),
        ("exp", NOW_S + 365 * 86_400),
        ("exp", str(NOW_S + 60)),
        ("exp", True),
        ("exp", 1e300),
        ("exp", -1),
        ("exp", float("nan")),
        ("exp", float("inf")),
        ("exp", 10**400),
        ("nbf", NOW_S + 31),
        ("nbf", "now"),
        ("iat", NOW_S + 31),
        ("iat", NOW_S + 120),
        ("iat", []),
    ],
)
def test_claim_that_is_not_right_is_refused(ec_key: SigningKey, keys: KeySet, name: str, value: object) -> None:
    token = forged(header(ec_key), claims(**{name: value}), ec_signature(ec_key))
    assert refusal(token, keys) == f"claim:{name}"


@pytest.mark.parametrize(
    "times",
    [{"exp": NOW_S - 29}, {"exp": NOW_S + 330}, {"exp": NOW_S + 0.5}, {"nbf": NOW_S + 30}, {"iat": NOW_S + 30}],
)
def test_clocks_may_differ_by_half_a_minute(ec_key: SigningKey, keys: KeySet, times: dict[str, object]) -> None:
    assert accept(jose.sign(claims(**times), ec_key.pem, "ES384", "ec-1"), keys).jti == "j-1"


def test_repeated_names_are_refused(ec_key: SigningKey, keys: KeySet) -> None:
    twice = '{"aud":"x",' + json.dumps(claims()).removeprefix("{")
    assert refusal(forged(header(ec_key), twice, ec_signature(ec_key)), keys) == "malformed"
    heads = '{"alg":"none","alg":"ES384","kid":"ec-1"}'
    assert refusal(forged(heads, claims(), ec_signature(ec_key)), keys) == "malformed"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "\ud800..",
        f"{b64(b'[]')}.{b64(b'{}')}.",
        f"{b64(b'{}')}.{b64(b'1')}.",
        f"{b64(b'[' * 5_000)}..",
        "x" * 1_000_000,
        f"{b64(b'{}')}\n.{b64(b'{}')}.",
    ],
)
def test_malformed_tokens_are_refused(keys: KeySet, token: str) -> None:
    assert refusal(token, keys) == "malformed"
    with pytest.raises(JoseRefused):
        jose.unverified_issuer(token)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_character_is_accepted(ec_key: SigningKey, keys: KeySet, data: st.DataObject) -> None:
    token = jose.sign(claims(), ec_key.pem, "ES384", "ec-1")
    at = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.sampled_from("ABCDwxyz0189-_.=+/ \n"))
    changed = token[:at] + char + token[at + 1 :]
    if changed != token:
        refusal(changed, keys)


def test_algorithms_must_be_named(ec_key: SigningKey, keys: KeySet) -> None:
    token = jose.sign(claims(), ec_key.pem, "ES384", "ec-1")
    for algorithms in ((), ("none",), ("HS256",), ("ES384", "PS256")):
        with pytest.raises(ValueError, match="algorithms"):
            accept(token, keys, algorithms)


def test_signing_refuses_what_verifying_would(ec_key: SigningKey) -> None:
    for alg in ("none", "HS256", "PS384"):
        with pytest.raises(ValueError, match="not one of"):
            jose.sign(claims(), ec_key.pem, alg, "k")
    with pytest.raises(ValueError, match="does not fit"):
        jose.sign(claims(), ec_key.pem, "RS384", "k")


def test_private_key_is_in_no_repr_and_not_in_the_jwk(ec_key: SigningKey, rsa_key: SigningKey) -> None:
    for key in (ec_key, rsa_key):
        assert "PRIVATE" not in repr(key)
        assert not {"d", "p", "q", "k"} & key.jwk.keys()
    private = serialization.load_pem_private_key(rsa_key.pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 3_072
