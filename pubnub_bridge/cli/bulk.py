"""The commands import, export and warm, which read or write a whole graph."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from graph_service.csv.exporter import export
from graph_service.csv.importer import Import, Tally
from graph_service.errors import BadInput
from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import Users, ignore_created
from graph_service.graph import migrations
from graph_service.graph.driver import Graph, check, connect
from graph_service.graph.warmup import Warmed, warm
from graph_service.settings import Settings, load

REJECTED_FILE = "rejected.csv"

UsersCsv = Annotated[Path, typer.Argument(metavar="PEOPLE.CSV", help="Columns id and name.")]
FriendshipsCsv = Annotated[
    Path, typer.Argument(metavar="FRIENDSHIPS.CSV", help="Columns a, b and, if known, since (s).")
]
At = Annotated[Path | None, typer.Option("--at", help="The file that `up --json` wrote: which graph to use.")]
Report = Annotated[Path | None, typer.Option("--report", help="Where rejected lines are listed, as CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class BadStackFile(BadInput):
    """--at {file}: {reason}. It is the file that `friends-presence up --json FILE` writes once everything is ready."""

    code = "bad_stack_file"


@dataclass(frozen=True)
class Files:
    """The files to import, and the file that lists rejected lines."""

    users: Path
    friendships: Path
    report: Path

    @classmethod
    def of(cls, users: Path, friendships: Path, report: Path | None) -> Files:
        """The report is next to the friendships by default."""
        return cls(users, friendships, report or friendships.with_name(REJECTED_FILE))


def add(app: typer.Typer) -> None:
    app.command("import")(import_)
    app.command("export")(export_)
    app.command("warm")(warm_)


def import_(
    people: UsersCsv,
    friendships: FriendshipsCsv,
    at: At = None,
    report: Report = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard the progress of an interrupted import.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load people and friendships into the running graph; after an interruption, run it again to continue."""
    files = Files.of(people, friendships, report)
    began = time.monotonic()
    tallies = asyncio.run(_import(settings_at(at), files, restart))
    show(tallies, files.report, time.monotonic() - began, as_json)


def export_(
    out: Annotated[Path, typer.Option("--out", help="The folder for people.csv and friendships.csv.")],
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Write all people and friendships of the running graph as CSV."""
    began = time.monotonic()
    exported = asyncio.run(_export(settings_at(at), out))
    took = time.monotonic() - began
    if as_json:
        typer.echo(json.dumps(asdict(exported) | {"seconds": round(took, 2), "folder": str(out)}))
    else:
        typer.echo(
            f"{exported.users:,} people and {exported.friendships:,} friendships in {out} ({took:.1f} s)"
        )


def warm_(at: At = None, as_json: AsJson = False) -> None:
    """Read every friendship into Neo4j's memory, after Neo4j was started, so that no request waits for its disk."""
    began = time.monotonic()
    warmed = asyncio.run(_warm(settings_at(at)))
    took = time.monotonic() - began
    if as_json:
        typer.echo(json.dumps(asdict(warmed) | {"seconds": round(took, 2)}))
    else:
        typer.echo(f"{warmed.users:,} people and {warmed.friendships:,} friendships read ({took:.1f} s)")


async def _import(settings: Settings, files: Files, restart: bool) -> list[Tally]:
    async with connect(settings) as graph:
        await check(graph, settings)
        await migrations.refuse_when_behind(graph, migrations.folder())
        with progress("people", _size(files.users)) as advance:
            users = Users(
                graph=graph,
                shard_of=settings.shard_map().shard,
                changed=ignore_changes,
                created=ignore_created,
            )
            first = await Import(graph=graph, advance=advance, restart=restart).users(files.users, users)
        with progress("friendships", _size(files.friendships)) as advance:
            bulk = Bulk(graph=graph, friend_limit=settings.friend_limit, changed=ignore_changes)
            second = await Import(graph=graph, advance=advance, restart=restart).friendships(
                files.friendships, bulk
            )
    return [first, second]


async def _export(settings: Settings, folder: Path) -> Any:
    async with connect(settings) as graph:
        await check(graph, settings)
        with progress("people", await _count_users(graph)) as advance:
            return await export(graph, folder, advance)


async def _warm(settings: Settings) -> Warmed:
    async with connect(settings) as graph:
        await check(graph, settings)
        with progress("people", await _count_users(graph)) as advance:
            return await warm(graph, advance)


async def _count_users(graph: Graph) -> int:
    row = await graph.row("users_count") or {}
    return int(row["people"])


def settings_at(file: Path | None) -> Settings:
    """The settings, with the graph of a running stack where its file is named.

    Raises:
        BadStackFile: it cannot be read, or is malformed.
    """
    if file is None:
        return load(Settings)
    try:
        graph = json.loads(file.read_text("utf-8"))["neo4j"]
        overrides = {f"neo4j_{word}": str(graph[word]) for word in ("uri", "user", "password")}
    except OSError as problem:
        raise BadStackFile(file=file, reason=problem.strerror) from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise BadStackFile(file=file, reason="it is not such a file") from problem
    return load(Settings, environment="development", **overrides)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar, on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def show(tallies: Sequence[Tally], report: Path, took: float, as_json: bool) -> None:
    """Write the report of rejected lines, and print a summary."""
    rejected = [(tally.file, one) for tally in tallies for one in tally.rejected]
    if rejected:
        with report.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(["file", "line", "code", "reason"])
            lines.writerows((name, one.line, one.code, one.reason) for name, one in rejected)
    if as_json:
        typer.echo(json.dumps(_summary(tallies, str(report) if rejected else None, took)))
        return
    table = Table("file", "lines", "created", "existed before", "rejected", "done before an interruption")
    for tally in tallies:
        numbers = (tally.lines, tally.made, tally.there, len(tally.rejected), tally.resumed)
        table.add_row(tally.file, *(f"{number:,}" for number in numbers))
    Console().print(table)
    for code, count in Counter(one.code for _, one in rejected).most_common():
        typer.echo(f"{count:,} rejected: {code}")
    if rejected:
        typer.echo(f"Rejected lines are listed in {report}")


def _summary(tallies: Sequence[Tally], report: str | None, took: float) -> dict[str, Any]:
    files = [
        {
            "file": tally.file,
            "lines": tally.lines,
            "made": tally.made,
            "there": tally.there,
            "resumed": tally.resumed,
            "rejected": dict(Counter(one.code for one in tally.rejected)),
        }
        for tally in tallies
    ]
    return {"files": files, "report": report, "seconds": round(took, 2)}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
