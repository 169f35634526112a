"""Imports CSV files into a running graph, in batches, resumable after a crash.

A file is read in windows. A window is sorted, so that the friendships of one user meet in one batch (their relations
are then read once), and its batches are sent to the graph a few at a time, each in one transaction that locks its
users. A window is finished before the next begins, so of two equal lines the first wins. Every finished batch is
journalled: after a crash the next run continues, and repeats only what was in progress.
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

WINDOW_LINES = 100_000
"""Read and sorted together."""
BATCH_LINES = 2_000
"""Of one transaction, which holds the locks of its users for some 100 ms."""
MAX_CONCURRENT_BATCHES = 3
"""One is encoded and one decoded here while the graph works on another."""
DUPLICATE_LINES = 500_000
"""Lines that are compared with all earlier ones in one pass over the file."""

Advance = Callable[[int], None]
"""Called with the number of further characters that are done."""
Line = TypeVar("Line", UserLine, PairLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The result of one batch of lines."""

    made: int = 0
    there: Sequence[int] = ()
    """Numbers of the lines whose content was in the graph before."""
    rejected: Sequence[Rejected] = ()


Send = Callable[[Sequence[Line]], Awaitable[BatchResult]]


class NoSuchFile(BadInput):
    """{file} cannot be read: {reason}."""

    code = "no_such_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The result of importing one file, in lines."""

    file: str
    lines: int
    made: int
    there: int
    """Lines whose content was in the graph before."""
    rejected: Sequence[Rejected]
    """In order of line."""
    resumed: int = 0
    """Lines that an earlier, interrupted run had finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Generic[Line]):
    """Lines of a file that are sorted and imported together."""

    lines: Sequence[Line]
    rejected: Sequence[Rejected]
    size: int
    """Characters."""

    @property
    def batches(self) -> list[Sequence[Line]]:
        """At least one, so that rejected lines are journalled with it."""
        return [self.lines[at : at + BATCH_LINES] for at in range(0, len(self.lines), BATCH_LINES)] or [[]]


class Import:
    """Imports files into one graph; `restart` ignores what an interrupted run had finished.

    Methods raise NoSuchFile, WrongColumns and GraphUnavailable; repeat the call to continue.
    """

    def __init__(self, *, graph: Graph, advance: Advance = lambda _size: None, restart: bool = False) -> None:
        self._graph = graph
        self._advance = advance
        self._restart = restart

    async def users(self, path: Path, users: Users) -> Tally:
        """Create and rename users, one for each line; of one id the first line counts."""

        async def send(batch: Sequence[UserLine]) -> BatchResult:
            result = await users.upsert_many([UserProfile(line.id, line.name) for line in batch])
            made = set(result.created)
            return BatchResult(made=len(made), there=[line.line for line in batch if line.id not in made])

        done, resumed = await self._load(path, user_windows(path), send)
        return _tally(path, done, resumed)

    async def friendships(self, path: Path, bulk: Bulk) -> Tally:
        """Create friendships, one for each line, without notifications. Of two equal lines the second is rejected."""

        async def send(batch: Sequence[PairLine]) -> BatchResult:
            return _batch_result(batch, await bulk.batch([line.pair for line in batch], notify=False))

        done, resumed = await self._load(path, pair_windows(path), send)
        return await asyncio.to_thread(_without_duplicates, path, _tally(path, done, resumed), done)

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
        numbered = [(first + at, batch) for at, batch in enumerate(window.batches)]
        todo = iter([one for one in numbered if one[0] not in journal.done])

        async def work() -> None:
            for number, batch in todo:
                result: BatchResult = await send(batch) if batch else BatchResult()
                # Lines that were rejected by the parser are journalled with the first batch of their window.
                early: Sequence[Rejected] = window.rejected if number == first else ()
                journal.add(
                    Done(
                        batch=number,
                        made=result.made,
                        there=result.there,
                        rejected=[*early, *result.rejected],
                    )
                )

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(MAX_CONCURRENT_BATCHES):
                    group.create_task(work(), name="import")
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _journal(self, path: Path) -> Journal:
        row = await self._graph.row("graph_id") or {}
        context = (str(row["id"]), f"{WINDOW_LINES}/{BATCH_LINES}")
        try:
            subject = await asyncio.to_thread(journal.fingerprint, path, *context)
        except OSError as problem:
            raise NoSuchFile(file=path, reason=problem.strerror) from problem
        file = journal.path_for(path)
        if self._restart:
            file.unlink(missing_ok=True)
        return Journal(path=file, subject=subject)


def user_windows(path: Path) -> Iterator[Window[UserLine]]:
    """The windows of people.csv, with one line for each id.

    Raises:
        NoSuchFile, WrongColumns: see their messages.
    """
    first_lines: dict[str, int] = {}
    for head, lines in numbered_lines(path, parse.USER_COLUMNS):
        accepted: list[UserLine] = []
        rejected: list[Rejected] = []
        for line in parse.users(head, lines):
            if isinstance(line, Rejected):
                rejected.append(line)
            elif (first := first_lines.setdefault(line.id, line.line)) != line.line:
                rejected.append(twin(line.line, first))
            else:
                accepted.append(line)
        yield Window(lines=accepted, rejected=rejected, size=_size(lines))


def pair_windows(path: Path) -> Iterator[Window[PairLine]]:
    """The windows of friendships.csv, each sorted and without duplicates.

    Raises:
        NoSuchFile, WrongColumns: see their messages.
    """
    for head, lines in numbered_lines(path, parse.PAIR_COLUMNS):
        accepted: dict[tuple[str, str], PairLine] = {}
        rejected: list[Rejected] = []
        for line in parse.pairs(head, lines):
            if isinstance(line, Rejected):
                rejected.append(line)
            elif (first := accepted.setdefault(_key(line), line)) is not line:
                rejected.append(twin(line.line, first.line))
        yield Window(lines=[accepted[key] for key in sorted(accepted)], rejected=rejected, size=_size(lines))


def numbered_lines(
    path: Path, wanted: Sequence[str]
) -> Iterator[tuple[parse.Heading, list[tuple[int, str]]]]:
    """A file's heading, with its numbered lines in windows.

    Raises:
        NoSuchFile, WrongColumns: see their messages.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            head = parse.heading(path.name, file.readline(), wanted)
            numbered = enumerate(file, 2)
            while lines := list(islice(numbered, WINDOW_LINES)):
                yield head, lines
    except OSError as problem:
        raise NoSuchFile(file=path, reason=problem.strerror) from problem


def _size(lines: Sequence[tuple[int, str]]) -> int:
    return sum(len(line) for _, line in lines)


def _key(line: PairLine) -> tuple[str, str]:
    a, b = line.pair.a, line.pair.b
    return (a, b) if a < b else (b, a)


def twin(line: int, first: int) -> Rejected:
    """The rejection of a line that repeats an earlier one."""
    return Rejected(line, "duplicate", f"line {first} says the same")


def _batch_result(batch: Sequence[PairLine], results: Sequence[PairResult]) -> BatchResult:
    made, there, rejected = 0, [], []
    for line, result in zip(batch, results, strict=True):
        if result.result is PairOutcome.CREATED:
            made += 1
        elif result.result is PairOutcome.EXISTS:
            there.append(line.line)
        else:
            rejected.append(Rejected(line.line, _code(result.reason), result.reason))
    return BatchResult(made=made, there=there, rejected=rejected)


def _code(reason: str) -> str:
    """The stable code of a refusal by `Bulk`, from how its reason begins."""
    codes = {"unknown": "unknown_id", "over": "over_cap", "self": "self", "blocked": "blocked"}
    return codes[reason.split(" ", 1)[0]]


def _lines(done: Done) -> int:
    return done.made + len(done.there) + len(done.rejected)


def _tally(path: Path, done: Sequence[Done], resumed: int) -> Tally:
    rejected = sorted((one for batch in done for one in batch.rejected), key=lambda one: one.line)
    made, there = sum(batch.made for batch in done), sum(len(batch.there) for batch in done)
    return Tally(
        file=path.name,
        lines=made + there + len(rejected),
        made=made,
        there=there,
        rejected=rejected,
        resumed=resumed,
    )


def _without_duplicates(path: Path, tally: Tally, done: Sequence[Done]) -> Tally:
    """Separate lines that repeat an earlier line from those whose friendship was in the graph before the import."""
    there = sorted(line for batch in done for line in batch.there)
    parts = (frozenset(there[at : at + DUPLICATE_LINES]) for at in range(0, len(there), DUPLICATE_LINES))
    duplicates = [one for part in parts for one in _duplicates(path, part)]
    rejected = sorted([*tally.rejected, *duplicates], key=lambda one: one.line)
    return Tally(
        file=tally.file,
        lines=tally.lines,
        made=tally.made,
        there=len(there) - len(duplicates),
        rejected=rejected,
        resumed=tally.resumed,
    )


def _duplicates(path: Path, candidates: frozenset[int]) -> Iterator[Rejected]:
    """The candidate lines that repeat an earlier line: two passes, one window in memory."""
    keys = {_key(line) for line in _pair_lines(path) if line.line in candidates}
    first: dict[tuple[str, str], int] = {}
    for line in _pair_lines(path):
        key = _key(line)
        if key in keys and first.setdefault(key, line.line) != line.line and line.line in candidates:
            yield twin(line.line, first[key])


def _pair_lines(path: Path) -> Iterator[PairLine]:
    for head, lines in numbered_lines(path, parse.PAIR_COLUMNS):
        for line in parse.pairs(head, lines):
            if isinstance(line, PairLine):
                yield line
