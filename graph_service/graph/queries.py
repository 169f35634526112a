"""The catalogue of named queries: one .cypher file each, with a header that is its contract.

A query's name is the stem of its file, in code, metrics and documents. The header's lines are ``// field: text``; the
fields are parameters, returns, locks and plan, and members for a read that any member of a cluster may serve. The
header is not sent to the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from graph_service.errors import SetupError

HEADER_WORDS = ("parameters", "returns", "locks", "plan")
OPTIONAL_WORDS = ("members",)


class BadQueryFile(SetupError):
    """cypher/{name}.cypher: {reason}. Every query file opens with a header of comment lines; see its neighbours."""

    code = "bad_query_file"


@dataclass(frozen=True, slots=True)
class Query:
    """One query: name, text as sent to the server, and header."""

    name: str
    text: str
    purpose: str
    header: dict[str, str]

    @property
    def operators(self) -> frozenset[str]:
        """The operators that its plan must contain, from the header's plan field."""
        return frozenset(
            re.findall(r"\b[A-Z]\w+(?:\((?:All|Into)\))?", _without_reasons(self.header["plan"]))
        )

    @property
    def by_any_member(self) -> bool:
        """Whether a lagging member may serve it. It waits for writes of this process, not for those of others."""
        return self.header.get("members") == "any"

    @property
    def may_be_eager(self) -> bool:
        """Whether the header says why its plan holds an Eager operator."""
        return "Eager" in self.header["plan"]


def _without_reasons(plan: str) -> str:
    return re.sub(r"\((?!All\)|Into\))[^)]*\)|;.*", "", plan)


def data_folder(name: str) -> Path:
    """The directory of cypher/ or migrations/: next to the packages in a checkout, inside graph_service in a wheel."""
    inside = Path(str(resources.files("graph_service"))) / "_data" / name
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / name


@cache
def catalogue() -> dict[str, Query]:
    """All queries by name, read once.

    Raises:
        BadQueryFile: a file without a complete header.
    """
    files = sorted(data_folder("cypher").rglob("*.cypher"))
    found = {path.stem: parse(path.stem, path.read_text("utf-8")) for path in files}
    if len(found) < len(files):
        duplicate = next(path.stem for path in files if sum(other.stem == path.stem for other in files) > 1)
        raise BadQueryFile(name=duplicate, reason="is the name of two files")
    return found


def parse(name: str, source: str) -> Query:
    """Split a file into header and text.

    Raises:
        BadQueryFile: the header lacks a field, or there is no text.
    """
    lines = source.strip().splitlines()
    comment = [line[2:].strip() for line in lines if line.startswith("//")]
    text = "\n".join(line for line in lines if not line.lstrip().startswith("//")).strip()
    header = _header(comment)
    missing = [field for field in HEADER_WORDS if field not in header]
    if missing or not text:
        raise BadQueryFile(name=name, reason=f"lacks {', '.join(missing) or 'a query'}")
    return Query(name, text, comment[0], header)


def _header(comment: list[str]) -> dict[str, str]:
    header: dict[str, str] = {}
    field = ""
    for line in comment:
        head, colon, rest = line.partition(":")
        if colon and head in HEADER_WORDS + OPTIONAL_WORDS:
            field = head
            header[field] = rest.strip()
        elif field:
            header[field] += " " + line
    return header
