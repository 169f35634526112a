"""Exports a running graph to the CSV files that `importer` reads.

Reads page by page in order of id, so it needs little memory and takes no locks; a change during the export may or may
not be in it. Cells are quoted where CSV requires it and otherwise written as they are: an id such as ``=1+1`` must be
imported unchanged.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graph_service.csv.parse import PAIR_COLUMNS, SINCE, USER_COLUMNS
from graph_service.graph.driver import Graph, Row

PAGE_SIZE = 100
"""Users of one query: some 40,000 friendships, 1.5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How much was written."""

    users: int
    friendships: int


async def export(
    graph: Graph, folder: Path, advance: Callable[[int], None] = lambda _users: None
) -> Exported:
    """Write people.csv and friendships.csv into `folder`; each gets its name only when it is complete.

    `advance` is called with the number of users of each page.

    Raises:
        GraphUnavailable: the graph does not respond. OSError: the folder cannot be written.
    """
    writer = _Writer(folder=folder)
    after = ""
    while page := await graph.rows("export_page", after=after, limit=PAGE_SIZE):
        writer.write(page)
        after = page[-1]["id"]
        advance(len(page))
    return writer.finish()


class _Writer:
    """Writes the two files under temporary names."""

    def __init__(self, *, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / name for name in ("people.csv", "friendships.csv")]
        self._drafts = [path.with_name(f".{path.name}.part") for path in self._paths]
        self._files = [draft.open("w", encoding="utf-8", newline="") for draft in self._drafts]
        self._users, self._pairs = (csv.writer(file, lineterminator="\n") for file in self._files)
        self._users.writerow(USER_COLUMNS)
        self._pairs.writerow((*PAIR_COLUMNS, SINCE))
        self._counts = [0, 0]

    def write(self, page: list[Row]) -> None:
        """Add a page of users with their friends."""
        for row in page:
            self._users.writerow((row["id"], row["name"]))
            friends = zip(row["friends"], row["sinces"], strict=True)
            self._pairs.writerows((row["id"], friend, since or "") for friend, since in friends)
            self._counts[1] += len(row["friends"])
        self._counts[0] += len(page)

    def finish(self) -> Exported:
        """Close the files and give them their names."""
        for file, draft, path in zip(self._files, self._drafts, self._paths, strict=True):
            file.close()
            draft.replace(path)
        return Exported(users=self._counts[0], friendships=self._counts[1])
