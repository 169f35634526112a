"""`make mutants`: applies each mutant to a copy of the tree, runs the fast tests, and prints which survive.

Results are stored in build/mutants.json, so a run that was interrupted goes on; a change of any file begins anew.
Exits with 1 where a mutant survives, no longer applies, or where the unchanged tree fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.mutants.catalogue import MUTANTS
from tests.mutants.model import ROOT, Mutant, NoLongerApplies
from tests.simulation.known_tapes import TAPES

STATE = ROOT / "build" / "mutants.json"
KNOWN = "tests/simulation/test_known_tapes.py"
SIMULATION = (KNOWN, "tests/simulation/test_simulation.py", "tests/property/test_pipeline_properties.py")
COPIED = ("graph_service", "pubnub_bridge", "local_stack", "cypher", "migrations", "tests", "docs", "web", "chaos",
          "bench", "pyproject.toml", "README.md")  # fmt: skip
TIMEOUT = 240
"""Seconds after which the tests of one mutant hang, which is noticed too."""
WORKERS = 2


@dataclass
class Result:
    """What became of one mutant."""

    name: str
    outcome: str
    """killed, survived, harmless, or no longer applies."""
    by: str = ""
    """The first test that failed."""
    seconds: float = 0.0
    digest: str = ""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="some of them; parts of names are enough")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the results as JSON")] = False,
    again: Annotated[bool, typer.Option("--again", help="forget what an earlier run found")] = False,
) -> None:
    """Run the fast tests against every mutant."""
    chosen = [one for one in MUTANTS.values() if not names or any(part in one.name for part in names)]
    console = Console(stderr=True)
    results = run(chosen, {} if again else known(), console)
    if as_json:
        print(json.dumps([asdict(one) for one in results], indent=2))
    sys.exit(1 if report(results, console) else 0)


def run(chosen: Sequence[Mutant], before: dict[str, Result], console: Console) -> list[Result]:
    """All results, known ones first; each is stored as soon as it is there."""
    tree = digest_of_tree()
    results = {one.name: before[one.name] for one in chosen if _good(one, before.get(one.name), tree)}
    left = [one for one in chosen if one.name not in results]
    with copies() as folders, ThreadPoolExecutor(WORKERS) as pool, progress(console) as bar:
        task = bar.add_task("mutants", total=len(chosen), completed=len(results))
        if left and (failed := unchanged(left, folders)):
            console.print(f"[red]the unchanged tree fails: {failed}")
            sys.exit(1)
        for future in as_completed([pool.submit(tried, one, folders, tree) for one in left]):
            result = future.result()
            results[result.name] = result
            keep({**before, **results})
            bar.advance(task)
            if result.outcome != "killed":
                bar.console.print(f"{result.outcome}: {result.name}")
    return [results[one.name] for one in chosen]


def tried(mutant: Mutant, folders: queue.Queue[Path], tree: str) -> Result:
    """One mutant in one copy of the tree."""
    digest = f"{tree}-{hashlib.sha256(repr(mutant).encode()).hexdigest()[:12]}"
    if mutant.harmless:
        return Result(mutant.name, "harmless", mutant.harmless, digest=digest)
    folder, began = folders.get(), time.monotonic()
    path = folder / mutant.file
    source = path.read_text("utf-8")
    try:
        write(path, mutant.applied(source))
        failed = next(filter(None, (first_failure(folder, tests) for tests in tests_of(mutant))), "")
    except NoLongerApplies as error:
        return Result(mutant.name, "no longer applies", str(error))
    finally:
        write(path, source)
        folders.put(folder)
    outcome = "killed" if failed else "survived"
    return Result(mutant.name, outcome, failed, round(time.monotonic() - began, 1), digest)


def write(path: Path, text: str) -> None:
    """Change a file, and forget what was compiled of it."""
    path.write_text(text, "utf-8")
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def tests_of(mutant: Mutant) -> Iterator[list[str]]:
    """Its own tape and the test files of its room; then the simulation."""
    own = [f"{KNOWN}::test_a_known_tape_is_harmless[{mutant.name}]"] if mutant.name in TAPES else []
    if first := [*own, *mutant.tests]:
        yield first
    yield list(SIMULATION)


def first_failure(folder: Path, tests: Sequence[str]) -> str:
    """The name of the first test that fails, or nothing."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "--no-header",
        *tests,
    ]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"nothing ended within {TIMEOUT} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (lines or done.stdout.splitlines()[-1:] or [done.stderr[-200:]])[0][:200]


def unchanged(chosen: Sequence[Mutant], folders: queue.Queue[Path]) -> str:
    """What fails without any mutant: then nothing that fails with one says anything."""
    folder = folders.get()
    try:
        files = dict.fromkeys(test for one in chosen for test in one.tests)
        return first_failure(folder, [*files, *SIMULATION])
    finally:
        folders.put(folder)


@contextmanager
def copies() -> Iterator[queue.Queue[Path]]:
    """As many copies of the tree as there are workers; the tree itself is never changed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folders: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            folder = Path(name) / str(number)
            for part in COPIED:
                source, target = ROOT / part, folder / part
                if source.is_dir():
                    shutil.copytree(
                        source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
                    )
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target)
            folders.put(folder)
        yield folders


def digest_of_tree() -> str:
    """Of everything that a mutant's fate depends on."""
    digest = hashlib.sha256()
    for package in ("graph_service", "pubnub_bridge", "cypher", "tests"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in {".py", ".cypher"}:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _good(mutant: Mutant, result: Result | None, tree: str) -> bool:
    digest = f"{tree}-{hashlib.sha256(repr(mutant).encode()).hexdigest()[:12]}"
    return result is not None and result.digest == digest


def known() -> dict[str, Result]:
    """What an earlier run found."""
    if not STATE.exists():
        return {}
    return {row["name"]: Result(**row) for row in json.loads(STATE.read_text("utf-8"))}


def keep(results: dict[str, Result]) -> None:
    """For the next run."""
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps([asdict(one) for one in results.values()], indent=1), "utf-8")


def report(results: Sequence[Result], console: Console) -> bool:
    """Print how many there are of each outcome; whether any of it is a failure."""
    counts = {
        outcome: [one for one in results if one.outcome == outcome]
        for outcome in ("killed", "harmless", "survived", "no longer applies")
    }
    console.print(", ".join(f"{len(some)} {outcome}" for outcome, some in counts.items() if some))
    for one in [*counts["survived"], *counts["no longer applies"]]:
        console.print(f"[red]{one.outcome}: {one.name} {one.by}")
    return bool(counts["survived"] or counts["no longer applies"])


def progress(console: Console) -> Progress:
    """How far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


if __name__ == "__main__":
    typer.run(main)
