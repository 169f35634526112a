"""A running graph into the CSV files that `importing` reads. Knows pages and files; no rules.

Read page by page in order of id, so it needs no memory and stops nobody; what changes meanwhile is in it or not.
Cells are quoted where CSV wants it and otherwise written as they are: an id such as ``=1+1`` must come back the same.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graph_service.csv.parse import PAIR_COLUMNS, SINCE, USER_COLUMNS
from graph_service.graph.driver import Graph, Row

PAGE_SIZE = 100
"""People of one page: some 40,000 friendships, 1.5 MB."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    people: int
    friendships: int


async def export(
    graph: Graph, folder: Path, advance: Callable[[int], None] = lambda _people: None
) -> Exported:
    """Writes people.csv and friendships.csv into `folder`; each appears under its name only when it is whole.

    Raises:
        GraphUnavailable: the graph does not answer. OSError: the folder cannot be written.
    """
    writer = _Writer(folder)
    after = ""
    while page := await graph.rows("export_page", after=after, limit=PAGE_SIZE):
        writer.write(page)
        after = page[-1]["id"]
        advance(len(page))
    return writer.finish()


class _Writer:
    """The two files as they grow."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / name for name in ("people.csv", "friendships.csv")]
        self._drafts = [path.with_name(f".{path.name}.part") for path in self._paths]
        self._files = [draft.open("w", encoding="utf-8", newline="") for draft in self._drafts]
        self._people, self._pairs = (csv.writer(file, lineterminator="\n") for file in self._files)
        self._people.writerow(USER_COLUMNS)
        self._pairs.writerow((*PAIR_COLUMNS, SINCE))
        self._counts = [0, 0]

    def write(self, page: list[Row]) -> None:
        """Adds a page of people with their friends."""
        for row in page:
            self._people.writerow((row["id"], row["name"]))
            friends = zip(row["friends"], row["sinces"], strict=True)
            self._pairs.writerows((row["id"], friend, since or "") for friend, since in friends)
            self._counts[1] += len(row["friends"])
        self._counts[0] += len(page)

    def finish(self) -> Exported:
        """Gives the files their names."""
        for file, draft, path in zip(self._files, self._drafts, self._paths, strict=True):
            file.close()
            draft.replace(path)
        return Exported(*self._counts)
