"""The import journal: progress in a file next to the CSV, which survives a crash at any moment.

One JSON value a line, appended after a batch is committed: first what is imported into which graph, then one line for
each batch. A torn last line is ignored, so its batch is sent again, which is idempotent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph_service.csv.parse import Rejected


@dataclass(frozen=True, slots=True)
class Done:
    """One committed batch."""

    batch: int
    """From 0."""
    made: int
    there: Sequence[int]
    """Numbers of the lines whose friendship existed before."""
    rejected: Sequence[Rejected]


class Journal:
    """The journal of one file's import into one graph."""

    def __init__(self, *, path: Path, subject: str) -> None:
        self._path = path
        self._subject = subject
        self.done: dict[int, Done] = dict(self._read())
        """What earlier runs have finished, by batch number."""
        lines = [json.dumps([subject]), *(_line(done) for done in self.done.values())]
        draft = path.with_name(path.name + ".new")
        draft.write_text("\n".join([*lines, ""]), encoding="utf-8")
        draft.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def add(self, done: Done) -> None:
        """Append one finished batch."""
        self.done[done.batch] = done
        self._file.write(_line(done) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a later run continues from it."""
        self._file.close()

    def finish(self) -> None:
        """Delete the file: the import is complete."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> Iterator[tuple[int, Done]]:
        if not self._path.exists():
            return
        lines = list(_values(self._path))
        if not lines or lines[0] != [self._subject]:
            return
        for value in lines[1:]:
            done = Done(value[0], value[1], value[2], [Rejected(*one) for one in value[3]])
            yield done.batch, done


def fingerprint(path: Path, *context: str) -> str:
    """Identifies what a journal belongs to: the file's content, and everything else that must be the same."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    for part in context:
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def _line(done: Done) -> str:
    rejected = [[one.line, one.code, one.reason] for one in done.rejected]
    return json.dumps([done.batch, done.made, list(done.there), rejected], separators=(",", ":"))


def _values(path: Path) -> Iterator[list[Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def path_for(path: Path) -> Path:
    """The journal of a CSV file, next to it; in the current directory where its own is not writable."""
    folder = path.parent if os.access(path.parent, os.W_OK) else Path.cwd()
    return folder / f".{path.name}.import"
