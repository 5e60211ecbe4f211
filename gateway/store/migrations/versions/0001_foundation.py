"""The foundation: store, people, jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import postgresql_foundation

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _transaction() -> sa.Column[int]:
    return sa.Column("xid", sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "access_token",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("organisation", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("activity", sa.Text(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("access_token_client", "access_token", ["client", "issued"], unique=False)
    op.create_index("access_token_expires", "access_token", ["expires"], unique=False)
    op.create_index("access_token_person", "access_token", ["person"], unique=False)
    op.create_table(
        "activation_code",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("organisation", sa.BigInteger(), nullable=False),
        sa.Column("prescriber", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("activation_code_patient", "activation_code", ["patient"], unique=False)
    op.create_table(
        "browser_session",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("organisation", sa.BigInteger(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("browser_session_expires", "browser_session", ["expires"], unique=False)
    op.create_index("browser_session_person", "browser_session", ["person"], unique=False)
    op.create_table(
        "care_relationship",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("organisation", sa.BigInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("care_relationship_organisation", "care_relationship", ["organisation", "patient"], unique=False)
    op.create_index("care_relationship_patient", "care_relationship", ["patient"], unique=False)
    op.create_table(
        "client",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("organisation", sa.BigInteger(), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("activity", sa.Text(), nullable=False),
        sa.Column("feed_prefix", sa.Text(), nullable=True),
        sa.Column("disabled", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "deny_row",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.BigInteger(), nullable=False),
        sa.Column("root_actor", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("min_confidentiality", sa.SmallInteger(), nullable=False),
        sa.Column("label_mask", sa.BigInteger(), nullable=False),
        sa.Column("data_from", sa.BigInteger(), nullable=False),
        sa.Column("data_to", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("actions", sa.SmallInteger(), nullable=False),
        sa.Column("instance", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deny_row_patient", "deny_row", ["patient", "actor"], unique=False)
    op.create_index("deny_row_source", "deny_row", ["source"], unique=False)
    op.create_table(
        "grant_row",
        sa.Column("patient", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("actor", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("purposes", sa.Integer(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("categories", sa.Integer(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("max_confidentiality", sa.SmallInteger(), nullable=False),
        sa.Column("label_mask", sa.BigInteger(), nullable=False),
        sa.Column("data_from", sa.BigInteger(), nullable=False),
        sa.Column("data_to", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("actions", sa.SmallInteger(), nullable=False),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.Column("instance", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient", "actor", "source", "n"),
        sqlite_with_rowid=False,
    )
    op.create_index("grant_row_actor", "grant_row", ["actor", "patient"], unique=False)
    op.create_index("grant_row_source", "grant_row", ["source"], unique=False)
    op.create_table(
        "history",
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("patients", sa.SmallInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("confidentiality", sa.SmallInteger(), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("effective_from", sa.BigInteger(), nullable=False),
        sa.Column("effective_to", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("id", _BYTEWISE, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        _transaction(),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("history_type", "history", ["type", "seq"], unique=False)
    op.create_index("history_updated", "history", ["updated"], unique=False)
    op.create_index("history_version", "history", ["pk", "version"], unique=True)
    op.create_table(
        "import_job",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("bytes_total", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("import_job_patient", "import_job", ["patient", "created"], unique=False)
    op.create_index("import_job_state", "import_job", ["state"], unique=False)
    op.create_table(
        "index_date",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
    )
    op.create_index("index_date_high", "index_date", ["param", "high", "pk"], unique=False)
    op.create_index("index_date_low", "index_date", ["param", "low", "pk"], unique=False)
    op.create_index("index_date_pk", "index_date", ["pk", "param"], unique=False)
    op.create_table(
        "index_number",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
    )
    op.create_index("index_number_pk", "index_number", ["pk", "param"], unique=False)
    op.create_index("index_number_value", "index_number", ["param", "value", "pk"], unique=False)
    op.create_table(
        "index_quantity",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
    )
    op.create_index("index_quantity_pk", "index_quantity", ["pk", "param"], unique=False)
    op.create_index("index_quantity_value", "index_quantity", ["param", "value", "pk"], unique=False)
    op.create_table(
        "index_reference",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("target_type", sa.SmallInteger(), nullable=False),
    )
    op.create_index("index_reference_pk", "index_reference", ["pk", "param"], unique=False)
    op.create_index("index_reference_target", "index_reference", ["param", "target", "pk"], unique=False)
    op.create_table(
        "index_string",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("exact", sa.Text(), nullable=False),
    )
    op.create_index("index_string_pk", "index_string", ["pk", "param"], unique=False)
    op.create_index("index_string_value", "index_string", ["param", "value", "pk"], unique=False)
    op.create_table(
        "index_token",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "index_token_patient",
        "index_token",
        ["patient", "param", "value", "pk"],
        unique=False,
        sqlite_where=sa.text("patient <> 0 AND patient <> pk"),
        postgresql_where=sa.text("patient <> 0 AND patient <> pk"),
    )
    op.create_index("index_token_pk", "index_token", ["pk", "param"], unique=False)
    op.create_index("index_token_value", "index_token", ["param", "value", "pk"], unique=False)
    op.create_table(
        "index_uri",
        sa.Column("pk", sa.BigInteger(), nullable=False),
        sa.Column("param", sa.SmallInteger(), nullable=False),
        sa.Column("item", sa.SmallInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_index("index_uri_pk", "index_uri", ["pk", "param"], unique=False)
    op.create_index("index_uri_value", "index_uri", ["param", "value", "pk"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("invited_by", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("invitation_person", "invitation", ["person"], unique=False)
    op.create_table(
        "membership",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("organisation", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("membership_organisation", "membership", ["organisation"], unique=False)
    op.create_index("membership_person", "membership", ["person", "organisation"], unique=False)
    op.create_table(
        "named_patient",
        sa.Column("pk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("patient", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("pk", "version", "patient"),
        sqlite_with_rowid=False,
    )
    op.create_index("named_patient_patient", "named_patient", ["patient", "pk"], unique=False)
    op.create_table(
        "organisation",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        _transaction(),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("outbox_due", "outbox", ["state", "due"], unique=False)
    op.create_index("outbox_patient", "outbox", ["patient", "id"], unique=False)
    op.create_table(
        "past_code",
        sa.Column("pk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("param", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("pk", "version", "param", "code"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient_account",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("handle", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("disabled", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("handle"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "resource",
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("patients", sa.SmallInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("confidentiality", sa.SmallInteger(), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("effective_from", sa.BigInteger(), nullable=False),
        sa.Column("effective_to", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.SmallInteger(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("id", _BYTEWISE, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.SmallInteger(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("resource_patient", "resource", ["patient", "type", "pk"], unique=False)
    op.create_index("resource_type", "resource", ["type", "pk"], unique=False)
    op.create_index("resource_updated", "resource", ["type", "updated", "pk"], unique=False)
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("succeeded", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sign_in_attempt_account", "sign_in_attempt", ["account", "at"], unique=False)
    op.create_index("sign_in_attempt_address", "sign_in_attempt", ["address", "at"], unique=False)
    op.create_index("sign_in_attempt_at", "sign_in_attempt", ["at"], unique=False)
    op.create_table(
        "staff_account",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("disabled", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "used_assertion",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("jti", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client", "jti"),
        sqlite_with_rowid=False,
    )
    op.create_index("used_assertion_expires", "used_assertion", ["expires"], unique=False)
    op.create_table(
        "write_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("purpose", sa.SmallInteger(), nullable=False),
        sa.Column("activity", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("bypass", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("write_audit_patient", "write_audit", ["patient", "at"], unique=False)
    _run_on_postgresql(postgresql_foundation.CREATE)


def downgrade() -> None:
    _run_on_postgresql(postgresql_foundation.DROP)
    op.drop_index("write_audit_patient", table_name="write_audit")
    op.drop_table("write_audit")
    op.drop_index("used_assertion_expires", table_name="used_assertion")
    op.drop_table("used_assertion")
    op.drop_table("staff_account")
    op.drop_index("sign_in_attempt_at", table_name="sign_in_attempt")
    op.drop_index("sign_in_attempt_address", table_name="sign_in_attempt")
    op.drop_index("sign_in_attempt_account", table_name="sign_in_attempt")
    op.drop_table("sign_in_attempt")
    op.drop_index("resource_updated", table_name="resource")
    op.drop_index("resource_type", table_name="resource")
    op.drop_index("resource_patient", table_name="resource")
    op.drop_table("resource")
    op.drop_table("patient_account")
    op.drop_table("past_code")
    op.drop_index("outbox_patient", table_name="outbox")
    op.drop_index("outbox_due", table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("organisation")
    op.drop_index("named_patient_patient", table_name="named_patient")
    op.drop_table("named_patient")
    op.drop_index("membership_person", table_name="membership")
    op.drop_index("membership_organisation", table_name="membership")
    op.drop_table("membership")
    op.drop_index("invitation_person", table_name="invitation")
    op.drop_table("invitation")
    op.drop_index("index_uri_value", table_name="index_uri")
    op.drop_index("index_uri_pk", table_name="index_uri")
    op.drop_table("index_uri")
    op.drop_index("index_token_value", table_name="index_token")
    op.drop_index("index_token_pk", table_name="index_token")
    op.drop_index("index_token_patient", table_name="index_token")
    op.drop_table("index_token")
    op.drop_index("index_string_value", table_name="index_string")
    op.drop_index("index_string_pk", table_name="index_string")
    op.drop_table("index_string")
    op.drop_index("index_reference_target", table_name="index_reference")
    op.drop_index("index_reference_pk", table_name="index_reference")
    op.drop_table("index_reference")
    op.drop_index("index_quantity_value", table_name="index_quantity")
    op.drop_index("index_quantity_pk", table_name="index_quantity")
    op.drop_table("index_quantity")
    op.drop_index("index_number_value", table_name="index_number")
    op.drop_index("index_number_pk", table_name="index_number")
    op.drop_table("index_number")
    op.drop_index("index_date_pk", table_name="index_date")
    op.drop_index("index_date_low", table_name="index_date")
    op.drop_index("index_date_high", table_name="index_date")
    op.drop_table("index_date")
    op.drop_index("import_job_state", table_name="import_job")
    op.drop_index("import_job_patient", table_name="import_job")
    op.drop_table("import_job")
    op.drop_index("history_version", table_name="history")
    op.drop_index("history_updated", table_name="history")
    op.drop_index("history_type", table_name="history")
    op.drop_table("history")
    op.drop_index("grant_row_source", table_name="grant_row")
    op.drop_index("grant_row_actor", table_name="grant_row")
    op.drop_table("grant_row")
    op.drop_index("deny_row_source", table_name="deny_row")
    op.drop_index("deny_row_patient", table_name="deny_row")
    op.drop_table("deny_row")
    op.drop_table("client")
    op.drop_index("care_relationship_patient", table_name="care_relationship")
    op.drop_index("care_relationship_organisation", table_name="care_relationship")
    op.drop_table("care_relationship")
    op.drop_index("browser_session_person", table_name="browser_session")
    op.drop_index("browser_session_expires", table_name="browser_session")
    op.drop_table("browser_session")
    op.drop_index("activation_code_patient", table_name="activation_code")
    op.drop_table("activation_code")
    op.drop_index("access_token_person", table_name="access_token")
    op.drop_index("access_token_expires", table_name="access_token")
    op.drop_index("access_token_client", table_name="access_token")
    op.drop_table("access_token")


def _run_on_postgresql(statements: tuple[str, ...]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in statements:
            op.execute(statement)
