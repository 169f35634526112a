"""Neo4j's bulk import, which writes a whole database while no server runs: its input files and its command.

Source: Neo4j operations manual, ``neo4j-admin database import full`` (CSV headers, options), tried on 5.26.28.
Users are numbered for the import; the numbers are not stored.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graph_service.errors import SetupError
from graph_service.model.sharding import ShardMap
from local_stack.data.csv_arrays import Friendships
from local_stack.data.digits import lines_of
from local_stack.engines import admin_tool
from local_stack.engines.neo4j_server import Neo4jEngine

PEOPLE = "people.csv"
ROWS_PER_WRITE = 1_000_000


class ImportFailed(SetupError):
    """Neo4j's import ended with exit code {code}, and the database is empty as before. A full disk: free some. Its last lines:
    {tail}
    """

    code = "import_failed"


def write_users(folder: Path, users: Sequence[tuple[str, str]], shards: ShardMap) -> None:
    """Write the node file: users with id, name and shard, numbered in order."""
    with (folder / PEOPLE).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([":ID", "id:string", "name:string", "shard:long"])
        for number, (id_, name) in enumerate(users):
            lines.writerow([number, id_, name, shards.shard(id_)])


def write_friendships(folder: Path, friendships: Friendships, users: int) -> list[Path]:
    """Write the relationship files: friendships with a time, and those without, which get no property."""
    known = friendships.since > 0
    files = []
    for name, chosen, heading in (
        ("dated.csv", known, b":START_ID,:END_ID,since:long\n"),
        ("undated.csv", ~known, b":START_ID,:END_ID\n"),
    ):
        if not chosen.any():
            continue
        columns = [*np.divmod(friendships.keys[chosen], users), friendships.since[chosen]]
        files.append(folder / name)
        with files[-1].open("wb") as file:
            file.write(heading)
            for start in range(0, len(columns[0]), ROWS_PER_WRITE):
                part = [
                    column[start : start + ROWS_PER_WRITE] for column in columns[: heading.count(b",") + 1]
                ]
                file.write(lines_of(part))
    return files


async def run(engine: Neo4jEngine, folder: Path, relations: Sequence[Path]) -> None:
    """Create the database from the files in `folder`; replaces an empty one.

    Raises:
        ImportFailed: with the last lines of the tool's output.
    """
    words = [
        *("database", "import", "full", "neo4j"),
        *("--overwrite-destination", "--id-type=integer", "--bad-tolerance=0"),
        f"--report-file={folder / 'bad.txt'}",
        f"--nodes=User={folder / PEOPLE}",
        *(f"--relationships=FRIEND={path}" for path in relations),
    ]
    code, output = await admin_tool.run(engine, words, folder)
    if code:
        raise ImportFailed(code=code, tail=output)
