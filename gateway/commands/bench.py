"""`backbridge bench` and `backbridge seed`: honest figures about any FHIR server, and data to have them at size."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from gateway.commands.terminal import open_database, out, refuse, settings_with

_Peers = list[str] | None


def bench(
    url: Annotated[
        str | None, typer.Option(help="FHIR base URL, or NAME=URL; else a gateway is started for the run.")
    ] = None,
    token: Annotated[str, typer.Option(help="Bearer token for URL.", envvar="BACKBRIDGE_BENCH_TOKEN")] = "",
    pids: Annotated[
        str, typer.Option(help="Process ids of the server at URL, such as 12,34: its processor time.")
    ] = "",
    peer: Annotated[
        _Peers, typer.Option(help="Another FHIR base URL, or NAME=URL, to compare with; repeatable.")
    ] = None,
    peer_token: Annotated[_Peers, typer.Option(help="Bearer tokens of the peers, in their order.")] = None,
    peer_pids: Annotated[_Peers, typer.Option(help="Process ids of the peers, in their order.")] = None,
    shapes: Annotated[
        str, typer.Option(help="Workloads, comma-separated; docs/performance.md says what they are.")
    ] = "ingest,read,identifier,observation,search,clinic,create,crud,synthea",
    bundles: Annotated[int, typer.Option(min=2, help="100-entry bundles to load first.")] = 100,
    count: Annotated[int, typer.Option(min=20, help="Requests of each read workload.")] = 8_000,
    connections: Annotated[int, typer.Option(min=1, max=256, help="Users who ask at once.")] = 16,
    warm_up: Annotated[int, typer.Option(min=0, help="Requests of each workload before the clock runs.")] = 200,
    floors: Annotated[
        bool | None, typer.Option("--floors/--no-floors", help="Measure the floors too; without URL they are.")
    ] = None,
    synthea: Annotated[Path | None, typer.Option(help="Folder or tar archive of transaction Bundles.")] = None,
    remote: Annotated[
        bool, typer.Option("--remote", help="The servers may be on other machines, and are yours.")
    ] = False,
    report: Annotated[Path, typer.Option(help="Where the figures go as JSON.")] = Path("build/bench.json"),
    growth: Annotated[
        bool, typer.Option("--growth", help="Measure instead how searches slow down as the data grow.")
    ] = False,
    sizes: Annotated[str, typer.Option(help="With --growth: numbers of patients.")] = "1000,5000,20000",
    home: Annotated[
        Path | None, typer.Option(help="With --growth: folder for the databases, kept for the next time.")
    ] = None,
) -> None:
    """Measure FHIR servers with the same data and requests, in turns; without URL, this gateway against two floors."""
    from gateway.bench.growth import measured_growth, parsed_sizes
    from gateway.bench.report import machine
    from gateway.bench.run import SHAPES, SYNTHEA, Plan, own_servers, run, workplace
    from gateway.bench.run import floors as both_floors
    from gateway.bench.servers import named
    from gateway.bench.target import Unusable

    try:
        with ExitStack() as stack:
            folder = stack.enter_context(workplace())
            if growth:
                complaints = measured_growth(home or folder, list(parsed_sizes(sizes)), count, report, out)
            else:
                chosen = tuple(name.strip() for name in shapes.split(","))
                if unknown := [name for name in chosen if name not in SHAPES]:
                    refuse(f"{unknown[0]} is no workload; there are {', '.join(SHAPES)}")
                histories = synthea or (SYNTHEA if SYNTHEA.exists() else None)
                if "synthea" in chosen and histories is None:
                    out.print("Synthea: skipped, no bundles beside the checkout; --synthea names a folder")
                about = machine(folder)
                servers = [named(url, token, pids, remote=remote)] if url else stack.enter_context(own_servers(folder))
                for number, each in enumerate(peer or ()):
                    given = [(values or [])[number : number + 1] or [""] for values in (peer_token, peer_pids)]
                    servers.append(named(each, given[0][0], given[1][0], remote=remote))
                if floors or (floors is None and url is None):
                    servers += stack.enter_context(both_floors(folder))
                plan = Plan(chosen, bundles, count, connections, warm_up, histories)
                complaints = [row.complaint for row in run(plan, servers, about, report, out) if row.complaint]
    except Unusable as wrong:
        refuse(wrong)
    if complaints:
        refuse("; ".join(complaints))


def seed(
    patients: Annotated[int, typer.Option(min=1, help="Invented people.")],
    observations: Annotated[int, typer.Option(min=0, help="Observations of each of them.")] = 100,
    home: Annotated[Path | None, typer.Option(help="Folder of the new installation's state.")] = None,
) -> None:
    """Make an installation full of synthetic people, labelled as test data, to measure at size."""
    from gateway.bench.seed import seed as filled

    settings = settings_with(home=home)
    if settings.database_path.exists():
        refuse(f"{settings.database_path} exists; invented people go into a new installation")
    open_database(settings).close()
    total = patients * (observations + 1)
    with Progress(console=out) as progress:
        task = progress.add_task("resources", total=total)
        filled(settings, 0, patients, observations, lambda added: progress.advance(task, added))
    out.print(f"{patients:,} synthetic patients, {total:,} resources, in {settings.home}")
