"""`backbridge token | clients | staff | reindex`: the operator's own commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress

from gateway.access import Purpose
from gateway.commands.terminal import open_database, out, refuse, settings_with
from gateway.people import organisations, staff
from gateway.people.errors import PeopleError
from gateway.people.hashing import SecretHasher, sign_in_key
from gateway.people.local_token import local_token
from gateway.people.registry import publish_organisation, publish_practitioner
from gateway.people.tables import Organisation, Role
from gateway.r4.identity import key_of
from gateway.settings import Settings
from gateway.smart import clients as registry
from gateway.store.database import Database
from gateway.store.keys import derived, root_key, token_hash
from gateway.store.prepare import Preparer
from gateway.store.reindex import reindex as recompute
from gateway.store.store import now_us

Home = Annotated[Path | None, typer.Option(help="Folder of this installation's state.")]
PurposeName = Literal["TREAT", "ETREAT", "CAREMGT", "PATRQT", "HOPERAT", "HPAYMT", "HRESCH", "PUBHLTH", "HSYSADMIN"]

clients = typer.Typer(help="Systems that may ask for tokens.", no_args_is_help=True)
staff_commands = typer.Typer(help="Organisations and the people who work for them.", no_args_is_help=True)


@contextmanager
def _installation(home: Path | None) -> Iterator[Database]:
    """The database, with everything that people's services refuse as one line."""
    database = open_database(settings_with(home=home))
    try:
        yield database
    except PeopleError as refused:
        refuse(refused)
    finally:
        database.close()


def token(
    scope: Annotated[str, typer.Option(help='Scopes, such as "user/*.rs" or "system/Observation.r".')],
    user: Annotated[str | None, typer.Option(help="Practitioner/ID or Patient/ID to speak for.")] = None,
    organization: Annotated[str | None, typer.Option(help="Organization/ID to act for.")] = None,
    purpose: Annotated[PurposeName | None, typer.Option(help="Purpose of use.")] = None,
    seconds: Annotated[int, typer.Option(help="Life of the token.")] = 300,
    home: Home = None,
) -> None:
    """Print a short-lived access token, for administration and black-box tests on this machine."""
    with _installation(home) as database:
        chosen = Purpose[purpose] if purpose is not None else None
        typer.echo(
            local_token(
                database,
                scope=scope,
                user=user,
                organization=organization,
                purpose=chosen,
                seconds=seconds,
                now_us=now_us(),
            )
        )


@clients.command("add")
def add_client(
    name: Annotated[str, typer.Option(help="What people call the system.")],
    jwks: Annotated[Path, typer.Option(help="File with its public keys (JWKS).", exists=True, dir_okay=False)],
    scope: Annotated[str, typer.Option(help='The most it may ask for, such as "system/*.rs".')],
    organization: Annotated[str, typer.Option(help="Organization/ID it belongs to, or the name of a new one.")],
    type: Annotated[str, typer.Option(help="Kind of client: backend.")] = registry.BACKEND,
    purpose: Annotated[PurposeName, typer.Option(help="Purpose of use.")] = "TREAT",
    activity: Annotated[str, typer.Option(help="Processing activity (GDPR Art. 30).")] = "direct-care",
    feed_prefix: Annotated[str | None, typer.Option(help="Prefix of the ids that it may assign.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Its id; a fresh one where none is given.")] = None,
    home: Home = None,
) -> None:
    """Register a system that signs in with its own key, and print the registration as JSON."""
    if type != registry.BACKEND:
        refuse("only clients of type backend can be registered so far")
    settings = settings_with(home=home)
    with _installation(home) as database:
        acting = _organisation(database, settings, organization)
        with database.writing() as session:
            added = registry.register(
                session,
                name=name,
                organisation=acting.key,
                jwks=jwks.read_text("utf-8"),
                scopes=scope,
                activity=activity,
                purpose=Purpose[purpose],
                feed_prefix=feed_prefix,
                client_id=client_id,
                now_us=now_us(),
            )
            shown = registry.described(session, added)
        typer.echo(json.dumps(shown, indent=2))


@clients.command("list")
def list_clients(home: Home = None) -> None:
    """Print every registration as JSON."""
    with _installation(home) as database, database.reading() as session:
        typer.echo(json.dumps([registry.described(session, client) for client in registry.every(session)], indent=2))


@clients.command("disable")
def disable_client(client_id: str, home: Home = None) -> None:
    """Refuse a client from now on, and its tokens with it."""
    with _installation(home) as database, database.writing() as session:
        ended = registry.disable(session, client_id, now_us())
        out.print(f"{client_id} is disabled; {ended} token(s) ended.", markup=False)


@staff_commands.command("setup")
def set_up(
    organization: Annotated[str, typer.Option(help="Name of the first organisation.")],
    name: Annotated[str, typer.Option(help="Name of its administrator.")],
    email: Annotated[str, typer.Option(help="E-mail that the administrator signs in with.")],
    passphrase: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
    home: Home = None,
) -> None:
    """Register the first organisation and its administrator."""
    settings = settings_with(home=home)
    with _installation(home) as database:
        account, first = staff.first_administrator(
            database,
            SecretHasher(sign_in_key(settings.home / "keys")),
            organisation_name=organization,
            name=name,
            email=email,
            passphrase=passphrase,
            now_us=now_us(),
        )
        publish_organisation(database, settings, first)
        publish_practitioner(database, settings, account)
        out.print(f"{account.reference} may sign in for Organization/{first.id}.", markup=False)


@staff_commands.command("invite")
def invite(
    name: Annotated[str, typer.Option(help="Name of the colleague.")],
    email: Annotated[str, typer.Option(help="E-mail to sign in with.")],
    organization: Annotated[str, typer.Option(help="Organization/ID, or the name of a new one.")],
    role: Annotated[list[Role] | None, typer.Option(help="Roles; may be repeated.")] = None,
    home: Home = None,
) -> None:
    """Register a colleague and print the one-time code with which they choose a passphrase."""
    settings = settings_with(home=home)
    with _installation(home) as database:
        acting = _organisation(database, settings, organization)
        with database.writing() as session:
            invited = staff.invite(
                session,
                name=name,
                email=email,
                organisation=acting.key,
                roles=role or [Role.CLINICIAN],
                invited_by=0,
                now_us=now_us(),
            )
        publish_practitioner(database, settings, invited.account)
        typer.echo(invited.code or f"{invited.account.reference} signs in here already; the roles are added.")


@staff_commands.command("leave")
def leave(practitioner: Annotated[str, typer.Argument(help="Practitioner/ID")], home: Home = None) -> None:
    """End a leaver's memberships, sessions and tokens at once."""
    kind, _, logical_id = practitioner.partition("/")
    if kind != "Practitioner" or not logical_id:
        refuse("name the leaver as Practitioner/ID")
    with _installation(home) as database, database.writing() as session:
        left = staff.leave(session, key_of(kind, logical_id), now_us())
        out.print(f"{left.memberships} membership(s), {left.sessions} session(s), {left.tokens} token(s) ended.")


def reindex(home: Home = None) -> None:
    """Compute facts, index rows and consent rules anew from the stored resources; the gateway may go on running."""
    settings = settings_with(home=home)
    preparer = Preparer(token_hash(derived(root_key(settings.home), "token index")), settings.fhir_base_url)
    with _installation(home) as database, Progress(transient=True) as progress:
        task = progress.add_task("Reindexing", total=None)
        done = recompute(database, preparer, lambda number, total: progress.update(task, completed=number, total=total))
    out.print(f"{done} resources reindexed.")


def _organisation(database: Database, settings: Settings, named: str) -> Organisation:
    """The organisation of `Organization/id`; any other text is the name of one, registered where it is new."""
    kind, _, logical_id = named.partition("/")
    if kind == "Organization" and logical_id:
        with database.reading() as session:
            return organisations.get(session, logical_id)
    with database.writing() as session:
        known = [found for found in organisations.every(session) if found.name == named.strip()]
        found = known[0] if known else organisations.add(session, name=named, now_us=now_us())
    publish_organisation(database, settings, found)
    return found
