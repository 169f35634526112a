"""CSV files into a running graph. Knows files, batches and the order of work; the rules of friendship are Bulk's.

A file is read in windows. A window is sorted, so that one person's friendships meet in one batch (their relations are
then read once), and its batches go to the graph a few at a time, each in one transaction that locks its users. A
window is finished before the next begins, so of two equal lines the first wins. Every answer is journalled: after a
kill the next run goes on, and sends again only what was under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from graph_service.csv import journal, parse
from graph_service.csv.journal import Done, Journal
from graph_service.csv.parse import PairLine, Rejected, UserLine
from graph_service.errors import BadInput
from graph_service.friends.bulk import Bulk
from graph_service.friends.users import UserProfile, Users
from graph_service.graph.driver import Graph
from graph_service.model.model import PairOutcome, PairResult

WINDOW = 100_000
"""Lines read and sorted together."""
BATCH = 2_000
"""Lines of one transaction, which holds the locks of its users for some 100 ms."""
MAX_CONCURRENT_BATCHES = 3
"""Batches under way: one is encoded and one decoded here while the graph works on another."""
TWINS = 500_000
"""Lines whose earlier twins are looked for in one pass over the file."""

Advance = Callable[[int], None]
"""Told how many characters more are done with."""
Line = TypeVar("Line", UserLine, PairLine)
BatchResult = tuple[int, list[int], list[Rejected]]
"""How many were made, the numbers of the lines that said nothing new, and the rejected."""
Send = Callable[[Sequence[Line]], Awaitable[BatchResult]]


class NoSuchFile(BadInput):
    """{file} cannot be read: {reason}."""

    code = "no_such_file"


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the lines of one file."""

    file: str
    lines: int
    made: int
    there: int
    """Lines that said what the graph knew already."""
    rejected: Sequence[Rejected]
    """In order of line."""
    resumed: int = 0
    """Lines that an earlier, interrupted run had done."""


@dataclass(frozen=True, slots=True)
class Window(Generic[Line]):
    """Some lines of a file that belong together."""

    lines: Sequence[Line]
    rejected: Sequence[Rejected]
    size: int
    """Characters."""

    @property
    def batches(self) -> list[Sequence[Line]]:
        """At least one, so that the rejected have one to be journalled with."""
        return [self.lines[at : at + BATCH] for at in range(0, len(self.lines), BATCH)] or [[]]


class Import:
    """Loads files into one graph; `restart` forgets what an interrupted run had done.

    Methods raise NoSuchFile, WrongColumns and GraphUnavailable; run the same again to go on.
    """

    def __init__(self, graph: Graph, advance: Advance = lambda _size: None, restart: bool = False) -> None:
        self._graph = graph
        self._advance = advance
        self._restart = restart

    async def people(self, path: Path, people: Users) -> Tally:
        """Creates and renames people, a line each; of one id the first line counts."""

        async def send(batch: Sequence[UserLine]) -> BatchResult:
            answer = await people.upsert_many([UserProfile(line.id, line.name) for line in batch])
            made = set(answer.created)
            return len(made), [line.line for line in batch if line.id not in made], []

        done, resumed = await self._load(path, user_windows(path), send)
        return _tally(path, done, resumed)

    async def friendships(self, path: Path, bulk: Bulk) -> Tally:
        """Makes friends, a line each; nobody is told. Of two equal lines the second is rejected."""

        async def send(batch: Sequence[PairLine]) -> BatchResult:
            return _sorted_out(batch, await bulk.batch([line.pair for line in batch], tell=False))

        done, resumed = await self._load(path, pair_windows(path), send)
        return await asyncio.to_thread(_without_twins, path, _tally(path, done, resumed), done)

    async def _load(
        self, path: Path, windows: Iterator[Window[Line]], send: Send[Line]
    ) -> tuple[list[Done], int]:
        journal = await self._journal(path)
        resumed, first = sum(_lines(done) for done in journal.done.values()), 0
        try:
            for window in windows:
                await self._send(window, first, journal, send)
                first += len(window.batches)
                self._advance(window.size)
        finally:
            journal.close()
        journal.finish()
        return list(journal.done.values()), resumed

    async def _send(self, window: Window[Line], first: int, journal: Journal, send: Send[Line]) -> None:
        waiting = [(first + at, batch) for at, batch in enumerate(window.batches)]
        todo = iter([one for one in waiting if one[0] not in journal.done])

        async def work() -> None:
            for number, batch in todo:
                answer: BatchResult = await send(batch) if batch else (0, [], [])
                rejected = [*window.rejected, *answer[2]] if number == first else answer[2]
                journal.add(Done(number, answer[0], answer[1], rejected))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(MAX_CONCURRENT_BATCHES):
                    group.create_task(work(), name="import")
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _journal(self, path: Path) -> Journal:
        row = await self._graph.row("graph_id") or {}
        about = (str(row["id"]), f"{WINDOW}/{BATCH}")
        try:
            subject = await asyncio.to_thread(journal.fingerprint, path, *about)
        except OSError as problem:
            raise NoSuchFile(file=path, reason=problem.strerror) from problem
        place = journal.beside(path)
        if self._restart:
            place.unlink(missing_ok=True)
        return Journal(place, subject)


def user_windows(path: Path) -> Iterator[Window[UserLine]]:
    """The windows of people.csv, without second lines for an id.

    Raises:
        NoSuchFile, WrongColumns: as their words say.
    """
    seen: dict[str, int] = {}
    for head, lines in numbered_lines(path, parse.USER_COLUMNS):
        kept: list[UserLine] = []
        rejected: list[Rejected] = []
        for line in parse.users(head, lines):
            if isinstance(line, Rejected):
                rejected.append(line)
            elif (first := seen.setdefault(line.id, line.line)) != line.line:
                rejected.append(twin(line.line, first))
            else:
                kept.append(line)
        yield Window(kept, rejected, _size(lines))


def pair_windows(path: Path) -> Iterator[Window[PairLine]]:
    """The windows of friendships.csv, each sorted and without repeats inside.

    Raises:
        NoSuchFile, WrongColumns: as their words say.
    """
    for head, lines in numbered_lines(path, parse.PAIR_COLUMNS):
        kept: dict[tuple[str, str], PairLine] = {}
        rejected: list[Rejected] = []
        for line in parse.pairs(head, lines):
            if isinstance(line, Rejected):
                rejected.append(line)
            elif (first := kept.setdefault(_key(line), line)) is not line:
                rejected.append(twin(line.line, first.line))
        yield Window([kept[key] for key in sorted(kept)], rejected, _size(lines))


def numbered_lines(
    path: Path, wanted: Sequence[str]
) -> Iterator[tuple[parse.Heading, list[tuple[int, str]]]]:
    """A file's heading, with its lines by number in windows.

    Raises:
        NoSuchFile, WrongColumns: as their words say.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            head = parse.heading(path.name, file.readline(), wanted)
            numbered = enumerate(file, 2)
            while lines := list(islice(numbered, WINDOW)):
                yield head, lines
    except OSError as problem:
        raise NoSuchFile(file=path, reason=problem.strerror) from problem


def _size(lines: Sequence[tuple[int, str]]) -> int:
    return sum(len(line) for _, line in lines)


def _key(line: PairLine) -> tuple[str, str]:
    a, b = line.pair.a, line.pair.b
    return (a, b) if a < b else (b, a)


def twin(line: int, first: int) -> Rejected:
    """The refusal of a line that repeats an earlier one."""
    return Rejected(line, "duplicate", f"line {first} says the same")


def _sorted_out(batch: Sequence[PairLine], results: Sequence[PairResult]) -> BatchResult:
    made, there, rejected = 0, [], []
    for line, result in zip(batch, results, strict=True):
        if result.result is PairOutcome.CREATED:
            made += 1
        elif result.result is PairOutcome.EXISTS:
            there.append(line.line)
        else:
            rejected.append(Rejected(line.line, _code(result.reason), result.reason))
    return made, there, rejected


def _code(reason: str) -> str:
    """The stable word for a refusal of Bulk, by how its reason begins."""
    codes = {"unknown": "unknown_id", "over": "over_cap", "self": "self", "blocked": "blocked"}
    return codes[reason.split(" ", 1)[0]]


def _lines(done: Done) -> int:
    return done.made + len(done.there) + len(done.rejected)


def _tally(path: Path, done: Sequence[Done], resumed: int) -> Tally:
    rejected = sorted((one for batch in done for one in batch.rejected), key=lambda one: one.line)
    made, there = sum(batch.made for batch in done), sum(len(batch.there) for batch in done)
    return Tally(path.name, made + there + len(rejected), made, there, rejected, resumed)


def _without_twins(path: Path, tally: Tally, done: Sequence[Done]) -> Tally:
    """Tells lines that repeat an earlier line from those whose friendship the graph had before the import."""
    there = sorted(line for batch in done for line in batch.there)
    parts = (frozenset(there[at : at + TWINS]) for at in range(0, len(there), TWINS))
    twins = [one for part in parts for one in _twins(path, part)]
    rejected = sorted([*tally.rejected, *twins], key=lambda one: one.line)
    return Tally(tally.file, tally.lines, tally.made, len(there) - len(twins), rejected, tally.resumed)


def _twins(path: Path, asked: frozenset[int]) -> Iterator[Rejected]:
    """Those of the asked lines that an earlier line says already: two passes, one window in memory."""
    keys = {_key(line) for line in _pair_lines(path) if line.line in asked}
    first: dict[tuple[str, str], int] = {}
    for line in _pair_lines(path):
        key = _key(line)
        if key in keys and first.setdefault(key, line.line) != line.line and line.line in asked:
            yield twin(line.line, first[key])


def _pair_lines(path: Path) -> Iterator[PairLine]:
    for head, lines in numbered_lines(path, parse.PAIR_COLUMNS):
        for line in parse.pairs(head, lines):
            if isinstance(line, PairLine):
                yield line
