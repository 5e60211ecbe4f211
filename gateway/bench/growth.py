"""How searches slow down as the data grow: the same searches on databases of several sizes, in turns.

The smallest database is part of every larger one, so an actor with a hundred patients must get the same answers from
all of them; that is checked before anything is timed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from gateway.bench.compare import Row, compare
from gateway.bench.corpus import CODES, IDENTIFIER_SYSTEM, LOINC, repeatable
from gateway.bench.loader import Script, ask
from gateway.bench.report import machine
from gateway.bench.seed import A_HUNDRED, EVERYBODY, RUN, SHARING, seed
from gateway.bench.servers import Server, local_token, serving_home
from gateway.bench.shapes import SINCE, Shape, matches
from gateway.bench.target import Answer, Request, Target, Unusable, target
from gateway.settings import Settings
from gateway.store import migrations
from gateway.store.database import open_database

OBSERVATIONS = 100
ALLOWED = 1.5
"""A search at the largest size may take this many times what it takes at the smallest."""

_PAGES = 3
_WARM_UP = 12
_TURN_SECONDS = 10.0


@dataclass(frozen=True)
class Actor:
    """An organisation, and how many of the patients it may see."""

    name: str
    organization: str
    patients: int | None

    def numbers(self, size: int) -> int:
        return size if self.patients is None else self.patients


ACTORS = (Actor("a hundred", A_HUNDRED, SHARING), Actor("all", EVERYBODY, None))


@dataclass(frozen=True)
class Looked:
    """A search to follow from page to page: its name, and its type and parameters for one patient and code."""

    name: str
    type: str
    params: Callable[[int, str], dict[str, str]]


LOOKED = (
    Looked("identifier", "Patient", lambda number, code: {"identifier": f"{IDENTIFIER_SYSTEM}|{RUN}-p{number}"}),
    Looked(
        "patient, code, date",
        "Observation",
        lambda number, code: {
            "patient": f"Patient/{RUN}-{number}",
            "code": f"{LOINC}|{code}",
            "date": f"ge{SINCE}",
            "_count": "2",
        },
    ),
    Looked(
        "panel: code, date",
        "Observation",
        lambda number, code: {"code": f"{LOINC}|{code}", "date": f"ge{SINCE}", "_count": "20"},
    ),
    Looked(
        "panel, newest first",
        "Observation",
        lambda number, code: {"code": f"{LOINC}|{code}", "date": f"ge{SINCE}", "_count": "20", "_sort": "-date"},
    ),
)


def measured_growth(folder: Path, sizes: Sequence[int], count: int, report: Path, console: Console) -> list[str]:
    """Seed, serve and measure; the table goes to the console, the rows to the report. Says which searches miss."""
    homes = grown(folder, sizes, console)
    rows: list[tuple[Actor, Looked, list[Row]]] = []
    with ExitStack() as stack:
        served = [
            stack.enter_context(serving_home(f"{size} patients", {"BACKBRIDGE_HOME": str(home)}, EVERYBODY))
            for size, home in homes.items()
        ]
        for actor in ACTORS:
            servers = [
                _as(server, {"BACKBRIDGE_HOME": str(home)}, actor)
                for server, home in zip(served, homes.values(), strict=True)
            ]
            for looked in LOOKED:
                if actor.patients is not None:
                    _refuse_unless_alike(servers, looked)
                shape = _shape(looked, actor, dict(zip([each.name for each in servers], homes, strict=True)), count)
                rows.append(
                    (
                        actor,
                        looked,
                        compare(shape, servers, warm_up=_WARM_UP, turn_seconds=_TURN_SECONDS, say=console.print),
                    )
                )
    _show(console, rows)
    about = machine(folder)
    found = [
        {"actor": actor.name, "search": looked.name, **row.as_json()}
        for actor, looked, several in rows
        for row in several
    ]
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"machine": about, "growth": found}, indent=2), encoding="utf-8")
    wrong = [row.complaint for _, _, several in rows for row in several if row.complaint]
    return wrong or [
        f"{looked.name} ({actor.name}, {kind} page): {ratio:.1f} times at {several[-1].server}"
        for actor, looked, several in rows
        for kind, ratio in _ratios(several).items()
        if ratio > ALLOWED
    ]


def grown(folder: Path, sizes: Sequence[int], console: Console) -> dict[int, Path]:
    """A home of every size; each starts as a copy of the one before it, and what is there already is kept."""
    homes: dict[int, Path] = {}
    before = 0
    for size in sorted(sizes):
        home = folder / f"{size}-patients"
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            if before:
                shutil.copytree(homes[before], home)
                (home / "complete").unlink()
            _fill(Settings(home=home, database_url=""), before, size, console)
            (home / "complete").touch()
        homes[size] = home
        before = size
    return homes


def _fill(settings: Settings, first: int, last: int, console: Console) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    database = open_database(settings)
    migrations.upgrade(database)
    database.close()
    console.print(f"seeding patients {first:,} to {last:,}, {OBSERVATIONS} Observations each")
    seed(settings, first, last, OBSERVATIONS)


def _as(server: Server, environment: dict[str, str], actor: Actor) -> Server:
    """The server as this actor meets it."""
    if actor.organization == EVERYBODY:
        return server
    return replace(server, target=target(server.target.url, local_token(environment, actor.organization)))


def _shape(looked: Looked, actor: Actor, sizes: dict[str, int], count: int) -> Shape:
    """One user who follows each search for some pages."""

    def turn(server: Server, start: int, requests: int) -> list[Script]:
        seed = repeatable(start)
        numbers = [seed.randrange(actor.numbers(sizes[server.name])) for _ in range(requests // _PAGES)]
        asked = [looked.params(number, seed.choice(CODES)) for number in numbers]
        return [_following(server.target, looked.type, asked)]

    title = f"{looked.name} ({actor.name})"
    return Shape(looked.name, title, 1, "requests", max(count // 10 // _PAGES * _PAGES, 2 * _PAGES), turn)


def _following(found: Target, kind: str, asked: Sequence[dict[str, str]]) -> Script:
    for params in asked:
        request: Request | None = found.get(kind, params, kind="first")
        for _ in range(_PAGES):
            if request is None:
                break
            answer = yield request
            request = _next(found, answer)


def _next(found: Target, answer: Answer) -> Request | None:
    if answer.status != 200:
        return None
    links = orjson.loads(answer.body).get("link", ())
    url = next((link["url"] for link in links if link["relation"] == "next"), None)
    return found.get(url.removeprefix(found.url + "/"), kind="next") if url else None


def _refuse_unless_alike(servers: Sequence[Server], looked: Looked) -> None:
    """Whoever sees the same patients gets the same answers, however many others there are."""
    answers = []
    for server in servers:
        params = {**looked.params(7, CODES[0]), "_total": "accurate"}
        answer = ask(server.target, server.target.get(looked.type, params))
        if answer.status != 200:
            # Too costly at this size: the turns will count it.
            continue
        answers.append((orjson.loads(answer.body)["total"], [each["id"] for each in matches(answer)]))
    if any(answer != answers[0] for answer in answers):
        raise Unusable(f"{looked.name}: the answers differ between the sizes: {[total for total, _ in answers]}")


def _ratios(rows: Sequence[Row]) -> dict[str, float]:
    """For first and later pages: the median at the largest size as a multiple of that at the smallest."""
    smallest, largest = rows[0].kinds, rows[-1].kinds
    return {
        kind: largest[kind]["p50_ms"] / smallest[kind]["p50_ms"]
        for kind in ("first", "next")
        if kind in largest and kind in smallest
    }


def _show(console: Console, rows: Sequence[tuple[Actor, Looked, list[Row]]]) -> None:
    table = Table("search", "sees", "page", *(row.server for row in rows[0][2]), "times")
    for actor, looked, several in rows:
        for kind, ratio in _ratios(several).items():
            medians = [f"{row.kinds[kind]['p50_ms']:.2f} ms" if kind in row.kinds else "none" for row in several]
            table.add_row(looked.name, actor.name, kind, *medians, f"{ratio:.2f}")
    console.print(table)


def parsed_sizes(text: str) -> Iterator[int]:
    """The sizes of a comma-separated list; Unusable where it is none."""
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) < SHARING:
            raise Unusable(f"{part.strip() or text} is not a number of patients of at least {SHARING}")
        yield int(part)
