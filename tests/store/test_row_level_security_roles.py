"""Which roles row-level security holds, and what the start says where it would not: one line, and no start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from typer.testing import CliRunner

from gateway.cli import app
from gateway.people.hashing import sign_in_key
from gateway.privacy import backup_keys
from gateway.privacy.backup import backup
from gateway.privacy.backup_restore import restore
from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.database import DatabaseUnusable
from gateway.store.keys import root_key
from gateway.store.migrations import row_level_security
from gateway.store.postgresql.database import PostgreSQLDatabase
from tests.postgresql import APPLICATION, Server


@pytest.fixture
def superuser_url(server: Server) -> Iterator[str]:
    """A database without row-level security, on which the application's role has its rights."""
    url = server.new_secured_database()
    database = PostgreSQLDatabase(url)
    migrations.secure(database, on=False)
    database.close()
    yield url
    server.drop_database(url)


def refusal(url: str, *, setting: bool) -> str:
    """Why the program does not start as this role; empty where it does."""
    database = PostgreSQLDatabase(url, row_level_security=setting)
    try:
        migrations.make_ready(database)
    except DatabaseUnusable as unusable:
        return str(unusable)
    finally:
        database.close()
    return ""


def migrate(home: Path, url: str, *options: str) -> str:
    done = CliRunner().invoke(app, ["migrate", "--home", str(home), "--database-url", url, *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_start_is_refused_where_setting_database_and_role_do_not_go_together(
    server: Server, superuser_url: str, tmp_path: Path
) -> None:
    application_url = server.of_application(superuser_url)
    assert refusal(application_url, setting=False) == ""
    assert "migrate --row-level-security on" in refusal(application_url, setting=True)
    assert "bypasses it" in refusal(superuser_url, setting=True)
    assert "Row-level security is on." in migrate(tmp_path, superuser_url, "--row-level-security", "on")
    assert refusal(application_url, setting=True) == ""
    assert "BACKBRIDGE_ROW_LEVEL_SECURITY=on" in refusal(application_url, setting=False)
    assert "bypasses it" in refusal(superuser_url, setting=True)
    # The superuser of a small installation may do without.
    assert refusal(superuser_url, setting=False) == ""
    assert "Row-level security is off." in migrate(tmp_path, superuser_url, "--row-level-security", "off")
    assert refusal(application_url, setting=False) == ""


def test_a_role_that_may_bypass_row_level_security_is_refused(server: Server, superuser_url: str) -> None:
    database = PostgreSQLDatabase(superuser_url)
    migrations.secure(database, on=True)
    database.close()
    server.ask(f"CREATE ROLE bypassing LOGIN BYPASSRLS IN ROLE {APPLICATION}")
    try:
        url = server.conninfo(server.name_of(superuser_url), "bypassing")
        assert "bypasses it" in refusal(url, setting=True)
    finally:
        server.ask("DROP ROLE bypassing")


def test_the_owner_of_the_tables_is_held_too(server: Server, superuser_url: str) -> None:
    server.ask("CREATE ROLE owning LOGIN")
    name = server.name_of(superuser_url)
    server.ask("GRANT ALL ON SCHEMA public TO owning", name)
    for table in (*row_level_security.TABLES, "alembic_version", "grant_row"):
        server.ask(f"ALTER TABLE {table} OWNER TO owning", name)
    url = server.conninfo(name, "owning")
    owner = PostgreSQLDatabase(url)
    migrations.secure(owner, on=True)
    owner.close()
    try:
        assert refusal(url, setting=True) == ""
        server.ask("INSERT INTO named_patient (pk, version, patient) VALUES (1, 1, 1)", name)
        for statement in ("SELECT * FROM named_patient", "INSERT INTO named_patient VALUES (2, 1, 1)"):
            with psycopg.connect(url) as connection, pytest.raises(errors.UndefinedObject):
                connection.execute(statement)
    finally:
        server.ask("REASSIGN OWNED BY owning TO postgres", name)
        server.ask("DROP OWNED BY owning", name)
        server.ask("DROP ROLE owning")


def test_policies_of_an_older_program_are_noticed_and_replaced(server: Server, superuser_url: str) -> None:
    database = PostgreSQLDatabase(superuser_url)
    application_url = server.of_application(superuser_url)
    migrations.secure(database, on=True)
    name = server.name_of(superuser_url)
    [(policy,)] = server.ask(
        "SELECT polname FROM pg_policy WHERE polrelid = 'history'::regclass AND polcmd = 'r'", name
    )
    server.ask(f"DROP POLICY {policy} ON history", name)
    server.ask("CREATE POLICY net_select_older ON history FOR SELECT USING (true)", name)
    assert "lacks it" in refusal(application_url, setting=True)
    migrations.secure(database, on=True)
    assert refusal(application_url, setting=True) == ""
    found = server.ask("SELECT count(*) FROM pg_policy WHERE polname = 'net_select_older'", name)
    assert found == [(0,)]
    database.close()


def test_one_table_without_its_policies_is_noticed(server: Server, superuser_url: str) -> None:
    database = PostgreSQLDatabase(superuser_url)
    migrations.secure(database, on=True)
    database.close()
    server.ask("ALTER TABLE past_code NO FORCE ROW LEVEL SECURITY", server.name_of(superuser_url))
    assert "lacks it" in refusal(server.of_application(superuser_url), setting=True)


def test_sqlite_has_none_and_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["migrate", "--home", str(tmp_path), "--row-level-security", "on"])
    assert done.exit_code == 1
    assert "SQLite has no row-level security" in done.output
    # The setting is about PostgreSQL alone.
    assert Settings(home=tmp_path, row_level_security="on").is_postgresql is False


def test_a_backup_by_the_applications_role_holds_everybody_and_the_policies(server: Server, tmp_path: Path) -> None:
    superuser_url = server.new_secured_database()
    server.ask("INSERT INTO named_patient (pk, version, patient) VALUES (1, 1, 7)", server.name_of(superuser_url))
    settings = Settings(home=tmp_path / "home", database_url=server.of_application(superuser_url))
    root_key(settings.home)
    sign_in_key(settings.home / "keys")
    backup(settings, tmp_path / "b")
    copy = Settings(home=tmp_path / "there", database_url=server.new_database("template0"))
    restore(copy, tmp_path / "b", backup_keys.every(backup_keys.folder_of(settings.home)))
    name = server.name_of(copy.database_url)
    assert server.ask("SELECT patient FROM named_patient", name) == [(7,)]
    server.ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APPLICATION}", name)
    assert refusal(server.of_application(copy.database_url), setting=True) == ""
    for url in (superuser_url, copy.database_url):
        server.drop_database(url)
