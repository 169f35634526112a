"""Migration files: names, statements, checksums. Pure.

File names, checksums and the records in the graph are those of neo4j-migrations (Apache-2.0, Java), so that its tools
can continue where this runner stopped.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from graph_service.errors import SetupError

NAME = re.compile(r"V(?P<version>\d+)__(?P<description>\w+)\.cypher")
SCHEMA = re.compile(r"\s*(CREATE|DROP)\s+(OR\s+REPLACE\s+)?(\w+\s+)*?(CONSTRAINT|INDEX)\b", re.IGNORECASE)
AUTO_COMMIT = re.compile(r"\bIN\s+(?:\w+\s+CONCURRENT\s+)?TRANSACTIONS\b", re.IGNORECASE)
TOKENS = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<end>;)""",
    re.DOTALL,
)


class BadMigrationFile(SetupError):
    """migrations/{name}: {reason}"""

    code = "bad_migration_file"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file that changes the schema or the data."""

    version: str
    description: str
    source: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """CRC32 over the statements, comments included, as a decimal string."""
        return str(zlib.crc32("".join(self.statements).encode()))

    @property
    def is_schema(self) -> bool:
        """Whether it changes the schema; Neo4j allows no data in the same transaction."""
        return any(SCHEMA.match(bare(statement)) for statement in self.statements)

    @property
    def commits_itself(self) -> bool:
        """Whether a statement opens transactions itself (CALL … IN TRANSACTIONS), so it must run in auto-commit."""
        return any(AUTO_COMMIT.search(bare(statement)) for statement in self.statements)


def read_folder(folder: Path) -> list[Migration]:
    """All migrations of a folder in order of version.

    Raises:
        BadMigrationFile: a name or a content that cannot be a migration; two files of one version.
    """
    migrations = sorted(
        (parse(path.name, path.read_text("utf-8")) for path in folder.iterdir() if path.suffix == ".cypher"),
        key=lambda migration: int(migration.version),
    )
    for one, other in pairwise(migrations):
        if int(one.version) == int(other.version):
            raise BadMigrationFile(name=other.source, reason=f"has the version of {one.source}")
    return migrations


def parse(name: str, text: str) -> Migration:
    """Parse one file.

    Raises:
        BadMigrationFile: the name is not ``V0001__what_it_does.cypher``, there is no statement, or it mixes
            schema and data.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise BadMigrationFile(name=name, reason="is not named like V0001__what_it_does.cypher")
    statements = split(text)
    if not statements:
        raise BadMigrationFile(name=name, reason="holds no statement")
    kinds = {bool(SCHEMA.match(bare(statement))) for statement in statements}
    if len(kinds) > 1:
        raise BadMigrationFile(name=name, reason="mixes schema and data; put them into two files")
    return Migration(match["version"], match["description"].replace("_", " "), name, statements)


def split(text: str) -> tuple[str, ...]:
    """Statements, split at semicolons outside of strings, back-ticks and comments; the last needs none."""
    statements, start = [], 0
    for token in TOKENS.finditer(text):
        if token["end"]:
            statements.append(text[start : token.start()])
            start = token.end()
    statements.append(text[start:])
    return tuple(statement.strip() for statement in statements if bare(statement))


def bare(statement: str) -> str:
    """A statement without its comments."""
    return TOKENS.sub(lambda token: "" if token["comment"] else token[0], statement).strip()
