"""How far an import has come, in a file beside the CSV that survives a kill at any moment. Knows files, no graph.

One JSON value a line, appended after the graph has answered for a batch: first what is imported into which graph,
then a line a batch. A torn last line is left out, so its batch is sent again, and the graph says that it is there.
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
    """One batch that the graph has answered for."""

    batch: int
    """From 0."""
    made: int
    there: Sequence[int]
    """Numbers of the lines whose friendship was there before."""
    rejected: Sequence[Rejected]


class Journal:
    """The journal of one file's import into one graph."""

    def __init__(self, path: Path, subject: str) -> None:
        self._path = path
        self._subject = subject
        self.done: dict[int, Done] = dict(self._read())
        """What earlier runs have finished, by number of batch."""
        whole = [json.dumps([subject]), *(_line(done) for done in self.done.values())]
        draft = path.with_name(path.name + ".new")
        draft.write_text("\n".join([*whole, ""]), encoding="utf-8")
        draft.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def add(self, done: Done) -> None:
        """Writes down one finished batch."""
        self.done[done.batch] = done
        self._file.write(_line(done) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Keeps the file for a later run."""
        self._file.close()

    def finish(self) -> None:
        """Forgets all: the import is complete."""
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


def fingerprint(path: Path, *about: str) -> str:
    """What a journal is about: this content, and whatever else must be the same."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    for word in about:
        digest.update(b"\0" + word.encode())
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


def beside(path: Path) -> Path:
    """Where the journal of a CSV file is kept; in the current folder where its own cannot be written."""
    folder = path.parent if os.access(path.parent, os.W_OK) else Path.cwd()
    return folder / f".{path.name}.import"
