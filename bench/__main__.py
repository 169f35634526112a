"""``make bench``: run the parts that fit into 15 minutes on two cores, one after the other, then write the page.

Each part is a separate process, so that none influences the next. A part that fails is reported at the end, and its
earlier figures stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import report
from bench.harness.loaded import POPULATIONS
from bench.parts import FOLDER, PARTS, Part

console = Console()


def main(
    only: Annotated[list[str] | None, typer.Option(help="Only these parts, such as graph.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder for figures, charts and page.")] = FOLDER,
) -> None:
    """Run the parts. Exit code 1 where one failed."""
    chosen = [part for part in PARTS if part.module and (not only or part.file in only)]
    if not chosen:
        raise typer.BadParameter(f"none of {', '.join(part.file for part in PARTS if part.module)}")
    folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    shown = Table("part", "seconds", "", title="make bench")
    failed = 0
    progress = Progress(*columns, TimeElapsedColumn(), console=console)
    with progress, tempfile.TemporaryDirectory(prefix="fp-bench-") as populations:
        task = progress.add_task("", total=len(chosen))
        for part in chosen:
            progress.update(task, description=part.title)
            began = time.monotonic()
            code = _run(part, folder, populations)
            failed += bool(code)
            outcome = "[green]done[/green]" if not code else f"[red]exit code {code}[/red]"
            shown.add_row(part.title, f"{time.monotonic() - began:.0f}", outcome)
            progress.advance(task)
    (folder / "README.md").write_text(report.page(folder), encoding="utf-8")
    console.print(shown, f"{folder}/README.md")
    if failed:
        raise typer.Exit(1)


def _run(part: Part, folder: Path, populations: str) -> int:
    """The exit code of a part. Its output is printed above the progress bar."""
    command = [
        sys.executable,
        "-m",
        part.module,
        *part.options,
        part.written,
        str(folder / f"{part.file}.json"),
    ]
    environ = os.environ | {POPULATIONS: populations}
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        console.print(line.rstrip(), markup=False, highlight=False)
    return process.wait()


if __name__ == "__main__":
    typer.run(main)
