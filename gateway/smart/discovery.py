"""What this authorization server can do, as `.well-known/smart-configuration` (SMART App Launch 2.2, conformance).

Only what is true: there is no authorization endpoint, so nothing of launches, PKCE or OpenID Connect is claimed.
"""

from __future__ import annotations

from gateway.settings import Settings
from gateway.smart.token import ALGORITHMS, CLIENT_CREDENTIALS

_SCOPES = [f"system/*.{actions}" for actions in ("rs", "cruds", "read", "write", "*")]


def smart_configuration(settings: Settings) -> dict[str, object]:
    """The document; every URL is absolute and comes from the settings."""
    return {
        # REQUIRED
        "grant_types_supported": [CLIENT_CREDENTIALS],
        "token_endpoint": settings.base_url + "/auth/token",
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        # OPTIONAL; needed by clients that authenticate with a key
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        # RECOMMENDED; the server must then support all that are listed
        "scopes_supported": _SCOPES,
        # RECOMMENDED
        "revocation_endpoint": settings.base_url + "/auth/revoke",
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
    }
