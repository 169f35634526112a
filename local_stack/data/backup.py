"""Back up the embedded graph into one file, and restore it: the steps and their checks.

Neo4j Community has no online backup: the copy is a dump of the stopped database (Neo4j operations manual,
``neo4j-admin database dump|check|load``; tried on 5.26.28). A note is written next to the dump: the server version,
the numbers of users and friendships, the SHA-256. Valkey is not backed up: reconciling finds again what its streams
contained. A restore keeps the old database until the new one is verified.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graph_service.errors import SetupError
from local_stack.data.offline import started_alone
from local_stack.engines import admin_tool
from local_stack.engines.data_folder import DataFolder, write_private
from local_stack.engines.neo4j_server import Neo4jEngine

DUMP = "neo4j.dump"
"""The tool's file name for a dump of the database neo4j."""
KINDS = ("databases", "transactions")
Report = Callable[[str], None]
"""Called with the text of each step as it begins."""


class BackupElsewhere(SetupError):
    """NEO4J_URI names {address}, and only the machine of that server can copy its files. There, on Community, which has
    no online backup:
      neo4j stop && neo4j-admin database {verb} neo4j {option} && neo4j start
    On Enterprise, while it runs: {online}. While the server is stopped, no change is committed and nothing is lost.
    """

    code = "backup_elsewhere"


class NothingToCopy(SetupError):
    """{data} holds no graph. Name the folder of one with --data."""

    code = "nothing_to_copy"


class FileExists(SetupError):
    """{path} exists already, and a copy is never written over another. Name another file."""

    code = "file_exists"


class NoSuchBackup(SetupError):
    """{path} is not a file that friends-presence backup wrote: {reason}."""

    code = "no_such_backup"


class HoldsPeople(SetupError):
    """{data} holds a graph with {people:,} people. Add --replace to replace it by the copy, or name another --data."""

    code = "holds_people"


class ToolFailed(SetupError):
    """Neo4j's tool could not {verb} (exit code {code}); {state}. Its last lines:
    {tail}
    """

    code = "admin_tool_failed"


class NotTheSame(SetupError):
    """The copy was read and is not what its note says: {found} instead of {expected}; {state}."""

    code = "not_the_same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Describes a copy; stored as JSON next to it."""

    people: int
    friendships: int
    neo4j: str
    """Version of the server that wrote it; a later one of the same release line reads it."""
    made: str
    """ISO 8601."""
    bytes: int
    sha256: str

    @classmethod
    def read_for(cls, file: Path) -> Note:
        """The note of a copy. Raises `NoSuchBackup`."""
        try:
            return cls(**json.loads(note_path(file).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise NoSuchBackup(path=file, reason=error) from error


@dataclass(frozen=True, slots=True)
class BackupResult:
    """The note, and seconds by step."""

    note: Note
    seconds: Mapping[str, float]


def note_path(file: Path) -> Path:
    """The path of a copy's note."""
    return file.with_name(file.name + ".json")


def refuse_elsewhere(environ: Mapping[str, str], verb: str) -> None:
    """Raise `BackupElsewhere`, with the command to run on that server, where NEO4J_URI names the graph."""
    if not (address := environ.get("NEO4J_URI")):
        return
    if verb == "dump":
        option, online = "--to-path=DIR", "neo4j-admin database backup neo4j --to-path=DIR"
    else:
        option = "--from-path=DIR --overwrite-destination=true"
        online = f"STOP DATABASE neo4j, neo4j-admin database restore neo4j {option}, START DATABASE neo4j"
    raise BackupElsewhere(address=address, verb=verb, option=option, online=online)


async def stop_running(folder: DataFolder, step: Report) -> None:
    """Stop what runs on the folder; `step` is called before."""
    if pid := folder.running_pid():
        step(
            "Neo4j Community has no online backup: stopping what runs on "
            f"{folder.root} (process {pid}). Start it again afterwards: friends-presence up"
        )
        await folder.stop_running()


async def backup(data: Path, file: Path, step: Report) -> BackupResult:
    """Copy the graph of `data` into `file` and check the copy.

    Raises:
        NothingToCopy, FileExists: nothing was done. ToolFailed: no file was written.
        NoSpace, NotReady and others of `local_stack.errors`: the server did not start.
    """
    folder = DataFolder.at(data)
    _refuse(folder, file)
    await stop_running(folder, step)
    async with _owned_engine(folder) as engine, _workspace_for(file) as workspace:
        timer = _StepTimer(step)
        # Starting and stopping the server also completes the recovery after a crash, without which a dump fails.
        timer.begin("counting", "people and friendships, on the server")
        totals = await _totals(engine)
        timer.begin("copying", "the database")
        await _tool(engine, workspace, "copy the database", ("dump", "neo4j", f"--to-path={workspace}"))
        timer.begin("checking", "the copy's consistency")
        await _checked(engine, workspace)
        note = await asyncio.to_thread(_note, engine, workspace / DUMP, totals)
        (workspace / DUMP).replace(file)
        write_private(note_path(file), asdict(note))
        return BackupResult(note, timer.end())


async def restore(data: Path, file: Path, step: Report, *, replace: bool = False) -> BackupResult:
    """Replace the graph of `data` by the copy in `file`; the old one is set aside until the new one is verified.

    Raises:
        NoSuchBackup: no file, no note, or not the file of the note. HoldsPeople: without `replace`.
        ToolFailed, NotTheSame: the old graph is restored.
    """
    folder = DataFolder.at(data)
    note = await asyncio.to_thread(_verified_note, file)
    await stop_running(folder, step)
    async with _owned_engine(folder) as engine:
        timer = _StepTimer(step)
        timer.begin("looking", "at what is there")
        await _refuse_people(engine, replace)
        timer.begin("loading", "the copy")
        with _set_aside(engine), _renamed_copy(file, folder) as workspace:
            await _tool(engine, workspace, "load the copy", ("load", "neo4j", f"--from-path={workspace}"))
            timer.begin("counting", "people and friendships, on the server")
            totals = await _totals(engine)
            if totals != (note.people, note.friendships):
                raise NotTheSame(found=totals, expected=(note.people, note.friendships), state=OLD_IS_BACK)
        return BackupResult(note, timer.end())


OLD_IS_BACK = "the graph is as it was before"
NO_FILE = "no file was written"


def _refuse(folder: DataFolder, file: Path) -> None:
    if not (folder.root / "neo4j" / "data" / "databases" / "neo4j").exists():
        raise NothingToCopy(data=folder.root)
    if file.exists():
        raise FileExists(path=file)


def _verified_note(file: Path) -> Note:
    note = Note.read_for(file)
    if not file.is_file() or _sha256(file) != note.sha256:
        raise NoSuchBackup(path=file, reason="its SHA-256 is not the one in its note")
    return note


@contextmanager
def _renamed_copy(file: Path, folder: DataFolder) -> Iterator[Path]:
    """A temporary folder in which the copy has the name that the tool expects."""
    with TemporaryDirectory(prefix="restore-", dir=folder.root) as name:
        (Path(name) / DUMP).symlink_to(file.absolute())
        yield Path(name)


class _StepTimer:
    """Measures seconds by step and reports each step as it begins."""

    def __init__(self, step: Report) -> None:
        self._step, self._seconds = step, dict[str, float]()
        self._name, self._since = "", time.monotonic()

    def begin(self, name: str, what: str) -> None:
        self.end()
        self._name, self._since = name, time.monotonic()
        self._step(f"{name} {what}")

    def end(self) -> dict[str, float]:
        if self._name:
            self._seconds[self._name] = round(time.monotonic() - self._since, 2)
        return self._seconds


@asynccontextmanager
async def _owned_engine(folder: DataFolder) -> AsyncIterator[Neo4jEngine]:
    """The stopped engine of a folder, locked while the context is open."""
    async with folder.owned() as lock:
        engine = Neo4jEngine(folder, inherited_fds=(lock.descriptor,))
        await engine.prepare(0)
        yield engine


@asynccontextmanager
async def _workspace_for(file: Path) -> AsyncIterator[Path]:
    """A temporary folder on the target's file system, so that the finished copy is moved into place atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".backup-", dir=file.parent.absolute()) as name:
        yield Path(name)


async def _totals(engine: Neo4jEngine) -> tuple[int, int]:
    async with started_alone(engine) as graph:
        row = await graph.row("totals") or {}
    return row["people"], row["friendships"]


async def _refuse_people(engine: Neo4jEngine, replace: bool) -> None:
    if replace or not (engine.home / "data" / "databases" / "neo4j").exists():
        return
    people, _ = await _totals(engine)
    if people:
        raise HoldsPeople(data=engine.data.root, people=people)


async def _tool(engine: Neo4jEngine, workspace: Path, verb: str, words: tuple[str, ...]) -> None:
    state = OLD_IS_BACK if words[0] == "load" else NO_FILE
    code, output = await admin_tool.run(engine, ("database", *words), workspace, admin_tool.BRIEF)
    if code:
        raise ToolFailed(verb=verb, code=code, state=state, tail=output)


async def _checked(engine: Neo4jEngine, workspace: Path) -> None:
    limit = f"--max-off-heap-memory={max(256, engine.memory.page_cache)}m"
    words = ("check", "neo4j", f"--from-path={workspace}", f"--report-path={workspace}", limit)
    await _tool(engine, workspace, "find the copy whole", words)


@contextmanager
def _set_aside(engine: Neo4jEngine) -> Iterator[None]:
    """Move the current database aside; delete it if the body succeeds, else move it back.

    Where a killed run left a database aside, that one is current, and what is in its place is incomplete.
    """
    aside, gone = engine.home / "before-restore", engine.home / "before-restore.gone"
    shutil.rmtree(gone, ignore_errors=True)
    pairs = [(engine.home / "data" / kind / "neo4j", aside / kind) for kind in KINDS]
    for now, saved in pairs:
        if not saved.exists() and now.exists():
            aside.mkdir(exist_ok=True)
            now.rename(saved)
        shutil.rmtree(now, ignore_errors=True)
    try:
        yield
    except BaseException:
        for now, saved in pairs:
            shutil.rmtree(now, ignore_errors=True)
            with suppress(FileNotFoundError):
                saved.rename(now)
        shutil.rmtree(aside, ignore_errors=True)
        raise
    with suppress(FileNotFoundError):
        aside.rename(gone)  # atomic: a half-deleted old database would be taken for the current one
    shutil.rmtree(gone, ignore_errors=True)


def _note(engine: Neo4jEngine, file: Path, totals: tuple[int, int]) -> Note:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    people, friendships = totals
    return Note(
        people=people,
        friendships=friendships,
        neo4j=engine.lock.version,
        made=now,
        bytes=file.stat().st_size,
        sha256=_sha256(file),
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def as_json(done: BackupResult, file: Path) -> dict[str, Any]:
    """The output of ``--json``."""
    return {"file": str(file), **asdict(done.note), "seconds": dict(done.seconds)}
