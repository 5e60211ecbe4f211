"""A record system of another make: its own key, tokens by private_key_jwt, the FHIR API (SMART Backend Services)."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import httpx

from gateway.demo.browser import UnexpectedPage
from gateway.smart import jose

JSON = dict[str, Any]

ALGORITHM: Final = "ES384"
SCOPE = "system/CarePlan.rs system/Goal.rs system/Observation.rs"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 240


@dataclass(frozen=True, slots=True)
class RecordSystem:
    """A registered client and its private key, which never leaves it."""

    url: str
    client_id: str
    key: jose.SigningKey

    def token(self, http: httpx.Client) -> str:
        """A fresh access token for a signed assertion."""
        audience = http.get(f"{self.url}/.well-known/smart-configuration").json()["token_endpoint"]
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "exp": now + _ASSERTION_SECONDS,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
        }
        assertion = jose.sign(claims, self.key.pem, ALGORITHM, self.key.kid)
        answer = http.post(
            f"{self.url}/auth/token",
            data={
                "grant_type": "client_credentials",
                "scope": SCOPE,
                "client_assertion_type": _ASSERTION,
                "client_assertion": assertion,
            },
        )
        if answer.status_code != 200:
            raise UnexpectedPage(f"the token endpoint answered {answer.status_code}")
        return str(answer.json()["access_token"])

    def search(self, http: httpx.Client, token: str, query: str) -> JSON:
        """The searchset Bundle of a search."""
        found: JSON = self._get(http, token, query).json()
        return found

    def status(self, http: httpx.Client, token: str, path: str) -> int:
        """The status of a read, whatever it is."""
        return http.get(f"{self.url}/fhir/{path}", headers=_headers(token)).status_code

    def _get(self, http: httpx.Client, token: str, query: str) -> httpx.Response:
        answer = http.get(f"{self.url}/fhir/{query}", headers=_headers(token))
        if answer.status_code != 200:
            raise UnexpectedPage(f"{query.partition('?')[0]} answered {answer.status_code}")
        return answer


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/fhir+json"}
