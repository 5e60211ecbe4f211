"""Every setting, typed, with its default and meaning; `docs/settings.md` is written from this table.

Each is read from the environment as BACKBRIDGE_<NAME>; command-line options override it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_POSTGRESQL = ("postgresql://", "postgres://")


class Settings(BaseSettings):
    """The settings of one installation. Unknown BACKBRIDGE_ variables are ignored; wrong values refuse to start."""

    model_config = SettingsConfigDict(env_prefix="BACKBRIDGE_", frozen=True, hide_input_in_errors=True)

    home: Path = Field(
        default=Path.home() / ".local" / "share" / "backbridge",
        description="Folder of this installation's state: database, audit log, keys.",
    )
    database_url: str = Field(
        default="",
        repr=False,
        description="sqlite:///FILE or postgresql://ROLE:PASSWORD@HOST/DATABASE; empty: backbridge.sqlite in the home "
        "folder. A password is better kept in a file that PGPASSFILE names.",
    )
    row_level_security: Literal["off", "on"] = Field(
        default="off",
        description="On PostgreSQL, let the database itself refuse rows of patients who granted the caller nothing: a "
        "second net below the guard, recommended in production. Install it with `backbridge migrate "
        "--row-level-security on`.",
    )
    demo: bool = Field(default=False, description="Load and show a demonstration clinic of synthetic people.")
    host: str = Field(default="127.0.0.1", description="Address that the gateway listens on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port that the gateway listens on.")
    public_base_url: str = Field(
        default="",
        description="The URL that clients use, without a trailing slash; empty: http(s)://HOST:PORT. Links, issuers "
        "and audiences are built from it, never from a request's Host header.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Comma-separated addresses of reverse proxies whose X-Forwarded-For is believed, for rate limits "
        "and the audit log.",
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM certificate chain; with it the gateway speaks TLS."
    )
    tls_key: Path | None = Field(default=None, description="PEM private key of the certificate.")
    audit_reads: Literal["before-response", "within-1s"] = Field(
        default="before-response",
        description="When the record of a read is on the disk: before the answer leaves, or at most a second later.",
    )
    max_body_bytes: int = Field(default=16_000_000, ge=1_000, description="Largest request body.")
    max_bytes_in_flight: int = Field(
        default=32_000_000,
        ge=1_000,
        description="Most bytes of large FHIR request bodies (over 64 KiB) that are worked on at once; what does not "
        "fit is refused with 503. A body takes ten times its size in memory, and 10 kB for each entry of a Bundle.",
    )
    client_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Longest wait for a slow client: for the headers of a request, for the body of a FHIR request, and "
        "for an answer to be taken.",
    )
    max_bundle_entries: int = Field(default=5_000, ge=1, description="Most entries of a batch or transaction.")
    references: Literal["any", "existing"] = Field(
        default="any",
        description="Literal references to this server: any, or only to what exists and the writer may see (else 422).",
    )
    conditional_delete_max: int = Field(
        default=1, ge=1, le=1_000, description="Most resources that one conditional delete may remove; more is 412."
    )
    max_depth: int = Field(default=64, ge=8, description="Deepest nesting of a resource's JSON.")
    max_chain_depth: int = Field(default=4, ge=1, description="Most hops of a chain, _has or iterated include.")
    page_default: int = Field(default=20, ge=1, description="Entries of a page where _count is not given.")
    page_max: int = Field(default=1_000, ge=1, description="Most entries of a page, whatever _count says.")
    query_seconds: float = Field(
        default=5.0, gt=0, description="Longest a search may run before it is refused as too costly."
    )
    handling: Literal["strict", "lenient"] = Field(
        default="strict",
        description="What happens to unknown search parameters where the client states no Prefer: handling.",
    )
    drain_seconds: float = Field(default=10.0, gt=0, description="Longest wait for running requests at shutdown.")
    session_hours: float = Field(default=12.0, gt=0, description="Life of a browser session.")
    session_idle_minutes: float = Field(
        default=60.0, gt=0, description="A browser session that is not used for this long ends."
    )
    token_seconds: int = Field(default=300, ge=10, le=3600, description="Life of a backend client's access token.")
    time_zone: str = Field(
        default="Europe/London",
        description="IANA time zone in which the pages say days and times, and in which today begins.",
    )
    max_import_bytes: int = Field(
        default=4_000_000_000, ge=1_000, description="Largest file of health data that a patient may upload."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of the events that are logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="JSON lines, or text for people; auto is text where standard error is a terminal.",
    )
    log_requests: Literal["all", "refused", "failed", "none"] = Field(
        default="refused",
        description="Requests that leave a log line: all, those that got a status from 400 (refused) or from 500 "
        "(failed) on, or none.",
    )
    metrics_listen: str = Field(
        default="",
        pattern=r"^$|^(\[[0-9a-fA-F:]+\]|[^\s:]+):[0-9]{1,5}$",
        description="HOST:PORT of a listener for Prometheus alone, which asks for no token; empty: none.",
    )
    metrics_token: str = Field(
        default="",
        repr=False,
        description="With this bearer token the gateway's own port answers /metrics; empty: it has none.",
    )
    min_free_bytes: int = Field(
        default=100_000_000, ge=0, description="Less free space in the home folder makes /readyz say so."
    )
    late_work_seconds: float = Field(
        default=300.0, gt=0, description="Work that has been due for longer makes /readyz call it late."
    )
    outbox_days: float = Field(default=7.0, ge=0, description="How long rows of finished work are kept.")

    @field_validator("database_url")
    @classmethod
    def _is_known(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", *_POSTGRESQL)):
            raise ValueError("write sqlite:///FILE or postgresql://HOST/DATABASE")
        return url

    @property
    def is_postgresql(self) -> bool:
        """Whether the database is a PostgreSQL server, rather than a file."""
        return self.database_url.startswith(_POSTGRESQL)

    @property
    def database_path(self) -> Path:
        """The SQLite file, where the database is one."""
        if self.database_url:
            return Path(self.database_url.removeprefix("sqlite:///"))
        return self.home / "backbridge.sqlite"

    @property
    def last_backup(self) -> Path:
        """The file whose time is that of the latest backup."""
        return self.home / "last-backup"

    @property
    def has_metrics(self) -> bool:
        """Whether anybody may ask for numbers; only then they are published."""
        return bool(self.metrics_listen or self.metrics_token)

    @property
    def base_url(self) -> str:
        """The public base URL, without a trailing slash."""
        if self.public_base_url:
            return self.public_base_url.rstrip("/")
        scheme = "https" if self.tls_certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def fhir_base_url(self) -> str:
        return self.base_url + "/fhir"
