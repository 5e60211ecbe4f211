"""Registration: which keys, scopes, ids and prefixes a client may have."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.access import Purpose
from gateway.people.errors import AlreadyExists, NotKnown, Unacceptable
from gateway.people.tables import Client, Organisation
from gateway.r4.identity import key_of, new_id
from gateway.smart import clients, jose
from gateway.smart.jose import SigningKey
from gateway.smart.jwks import KeyRefused, of_keys, public_jwk, read
from tests.people.conftest import Installation

Registering = Callable[..., Client]


def b64(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def test_registered_client_is_described_without_more_than_was_registered(
    here: Installation, clinic: Organisation, register: Registering, ec_key: SigningKey
) -> None:
    client = register(ec_key, purpose=Purpose.HOPERAT, feed_prefix="ward-")
    with here.database.reading() as session:
        described = clients.described(session, clients.get(session, client.id))
        assert [row.id for row in clients.every(session)] == [client.id]
    assert json.loads(json.dumps(described)) == {
        "client_id": client.id,
        "client_name": "Ward System",
        "organization": f"Organization/{clinic.id}",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": "system/Patient.rs system/Observation.cruds",
        "purpose": "HOPERAT",
        "activity": "direct-care",
        "feed_prefix": "ward-",
        "disabled": False,
        "jwks": {"keys": [{key: value for key, value in ec_key.jwk.items() if key != "use"}]},
    }


def test_client_id_may_be_chosen_once(register: Registering, ec_key: SigningKey) -> None:
    client = register(ec_key, client_id="ward-7")
    assert client.key == key_of("Device", "ward-7")
    with pytest.raises(AlreadyExists):
        register(ec_key, client_id="ward-7")


@pytest.mark.parametrize("client_id", ["local", "web", "open-access", "plan-engine", "a/b", "", "x" * 65, new_id()])
def test_client_id_that_could_pass_for_somebody_else_is_refused(
    register: Registering, ec_key: SigningKey, client_id: str
) -> None:
    """An id of the server's own form is the key of any person with that id."""
    with pytest.raises(Unacceptable):
        register(ec_key, client_id=client_id)


@pytest.mark.parametrize(
    "scopes", ["", "user/*.rs", "patient/*.rs", "system/*.rs user/*.rs", "system/*.sr", "launch", "everything"]
)
def test_backend_client_has_system_scopes_only(register: Registering, ec_key: SigningKey, scopes: str) -> None:
    with pytest.raises(Unacceptable):
        register(ec_key, scopes=scopes)


def test_prefixes_of_two_feeds_never_overlap(register: Registering, ec_key: SigningKey) -> None:
    register(ec_key, feed_prefix="ward-")
    for taken in ("ward-", "ward-7", "wa"):
        with pytest.raises(AlreadyExists):
            register(ec_key, feed_prefix=taken)
    for wrong in ("", "a/b", "x" * 33, "ä"):
        with pytest.raises(Unacceptable):
            register(ec_key, feed_prefix=wrong)
    assert register(ec_key, feed_prefix="lab-").feed_prefix == "lab-"


def test_name_activity_and_organisation_are_needed(
    here: Installation, register: Registering, ec_key: SigningKey
) -> None:
    with pytest.raises(Unacceptable):
        register(ec_key, activity="Direct Care")
    with here.database.writing() as session, pytest.raises(NotKnown):
        clients.register(session, name="X", organisation=99, jwks="{}", scopes="system/*.rs", activity="a", now_us=0)
    with here.database.reading() as session, pytest.raises(NotKnown):
        clients.get(session, "nobody")


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_private_parts_are_refused(ec_key: SigningKey, member: str) -> None:
    with pytest.raises(KeyRefused, match="private"):
        of_keys([{**ec_key.jwk, member: "AQAB"}])


def test_refused_private_key_is_not_repeated(register: Registering, ec_key: SigningKey) -> None:
    leaked = SigningKey(ec_key.kid, "ES384", {**ec_key.jwk, "d": "c2VjcmV0"}, "")
    with pytest.raises(Unacceptable) as refused:
        register(leaked)
    assert "c2VjcmV0" not in f"{refused.value}{refused.value.__cause__}"


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct"},
        {"kty": "OKP"},
        {"kty": None},
        {"kid": None},
        {"kid": ""},
        {"kid": 7},
        {"kid": "x" * 257},
        {"crv": "P-521"},
        {"crv": "secp256k1"},
        {"crv": "P-256"},
        {"x": "AAAA"},
        {"x": "not base64!"},
        {"y": None},
        {"alg": "HS384"},
        {"alg": "RS384"},
        {"alg": "ES256"},
        {"alg": "none"},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
    ],
)
def test_unsound_ec_key_is_refused(ec_key: SigningKey, change: dict[str, object]) -> None:
    key = {name: value for name, value in {**ec_key.jwk, **change}.items() if value is not None}
    with pytest.raises(KeyRefused):
        of_keys([key])


def test_rsa_key_below_2048_bits_is_refused() -> None:
    small = rsa.generate_private_key(public_exponent=65_537, key_size=1_024).public_key()
    with pytest.raises(KeyRefused, match="2048"):
        of_keys([public_jwk(small, kid="k", alg="RS384")])


@pytest.mark.parametrize("e", [1, 2, 3, 65_536, (1 << 40) + 1])
def test_rsa_exponent_that_is_weak_or_slow_is_refused(rsa_key: SigningKey, e: int) -> None:
    with pytest.raises(KeyRefused):
        of_keys([{**rsa_key.jwk, "e": b64(e)}])


def test_even_or_huge_rsa_modulus_is_refused(rsa_key: SigningKey) -> None:
    for n in (1 << 3_000, (1 << 9_000) + 1):
        with pytest.raises(KeyRefused):
            of_keys([{**rsa_key.jwk, "n": b64(n)}])


def test_every_key_has_a_kid_of_its_own(ec_key: SigningKey, rsa_key: SigningKey) -> None:
    with pytest.raises(KeyRefused, match="kid"):
        of_keys([ec_key.jwk, {**rsa_key.jwk, "kid": ec_key.kid}])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"keys": []}', '{"keys": {}}', '{"keys": [7]}', "{" * 5_000, "[" * 60_000, " " * 70_000],
)
def test_text_that_is_no_key_set_is_refused(text: str) -> None:
    with pytest.raises(KeyRefused):
        read(text)


def test_key_set_has_at_most_sixteen_keys(ec_key: SigningKey) -> None:
    keys = [{**ec_key.jwk, "kid": str(number)} for number in range(17)]
    assert len(read(json.dumps({"keys": keys[:16]})).keys) == 16
    with pytest.raises(KeyRefused):
        read(json.dumps({"keys": keys}))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_coordinates_are_written_in_full_length(curve: ec.EllipticCurve) -> None:
    """A leading zero octet is part of the coordinate (RFC 7518, section 6.2.1.2)."""
    lengths = set()
    for secret in range(1, 300):
        public = ec.derive_private_key(secret, curve).public_key()
        jwk = public_jwk(public, kid="k", alg="ES256" if curve.key_size == 256 else "ES384")
        lengths |= {len(jwk["x"]), len(jwk["y"])}
        numbers = public.public_numbers()
        assert int.from_bytes(base64.urlsafe_b64decode(jwk["x"] + "=="), "big") == numbers.x
    assert lengths == {43 if curve.key_size == 256 else 64}


def test_generated_keys_are_accepted(ec_key: SigningKey, rsa_key: SigningKey) -> None:
    es256 = jose.generate("ES256")
    assert len(of_keys([ec_key.jwk, rsa_key.jwk, es256.jwk]).keys) == 3
