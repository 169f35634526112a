"""Read and write the lock file of Neo4j's jars: coordinates, SHA-256 and size of each. No network.

A line is ``group:artifact[:classifier]:version sha256 bytes``; lines that begin with # are comments.
The address of the registry is not in it: `local_stack.jars.fetch` takes it from the resolver library at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import BadLockFile

LOCK_FILE = Path(__file__).with_name("neo4j.lock")
PRODUCT = "org.neo4j:neo4j"

_LINE = re.compile(r"(?P<coordinates>\S+) (?P<sha256>[0-9a-f]{64}) (?P<size>[1-9][0-9]*)")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, order=True, kw_only=True)
class Jar:
    """One file of the product."""

    group: str
    artifact: str
    classifier: str
    """Empty for most; 'linux-x86_64' and the like for native parts."""
    version: str
    sha256: str
    """64 hexadecimal digits."""
    size: int
    """Bytes."""

    @property
    def coordinates(self) -> str:
        """``group:artifact[:classifier]:version``, as in the lock file."""
        parts = (self.group, self.artifact, self.classifier, self.version)
        return ":".join(part for part in parts if part)

    @property
    def path(self) -> str:
        """Its path in a Maven repository, below the base address; the cache has the same layout."""
        tail = f"-{self.classifier}" if self.classifier else ""
        folder = f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}"
        return f"{folder}/{self.artifact}-{self.version}{tail}.jar"

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Lock:
    """All jars of one Neo4j version, in a fixed order."""

    version: str
    jars: tuple[Jar, ...]

    @property
    def size(self) -> int:
        """Bytes of all jars together."""
        return sum(jar.size for jar in self.jars)


def read(path: Path = LOCK_FILE) -> Lock:
    """The lock file's content. Raises `BadLockFile` with the line's number."""
    return parse(path.read_text(encoding="utf-8"), path)


def parse(text: str, path: Path = LOCK_FILE) -> Lock:
    """The lock in `text`; `path` is only for the message of `BadLockFile`."""
    jars: dict[str, Jar] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        jar = _jar(line.strip())
        if not jar or jar.coordinates in jars:
            reason = "this file is named twice" if jar else "not 'group:artifact:version sha256 bytes'"
            raise BadLockFile(path=path, line=number, reason=reason, version="5.26.28")
        jars[jar.coordinates] = jar
    product = [jar for jar in jars.values() if f"{jar.group}:{jar.artifact}" == PRODUCT]
    if len(product) != 1:
        raise BadLockFile(path=path, line=1, reason=f"{PRODUCT} is not in it", version="5.26.28")
    return Lock(product[0].version, tuple(jars.values()))


def dump(jars: Iterable[Jar]) -> str:
    """The text that `parse` reads, sorted by coordinates, so that an update changes few lines."""
    ordered = sorted(jars)
    version = next(jar.version for jar in ordered if f"{jar.group}:{jar.artifact}" == PRODUCT)
    head = (
        f"# Neo4j Community {version}: {len(ordered)} jars, fetched at the first start and never part of this"
        " project (GPLv3).\n"
        f"# Made by: friends-presence engines lock --version {version}\n"
    )
    return head + "".join(f"{jar.coordinates} {jar.sha256} {jar.size}\n" for jar in ordered)


def _jar(line: str) -> Jar | None:
    found = _LINE.fullmatch(line)
    parts = found["coordinates"].split(":") if found else []
    # The parts become folder names: anything but a plain word could lead out of the cache.
    if not found or len(parts) not in (3, 4) or not all(_WORD.fullmatch(part) for part in parts):
        return None
    group, artifact, *classifier, version = parts
    return Jar(
        group=group,
        artifact=artifact,
        classifier="".join(classifier),
        version=version,
        sha256=found["sha256"],
        size=int(found["size"]),
    )
