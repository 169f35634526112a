"""`docs/security.md`: every threat names its control and a test, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
THREATS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("## Threats")[2].partition("## Known limits")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| threat")
]
_TEST = re.compile(r"`(tests/[\w/.]+?\.py)(?:::(\w+))?`")
ASKED = (
    "inbox", "presence", "none", "confusion", "issuer", "expired", "key id", "huge", "webhook", "IDOR", "flooding",
    "headers", "bodies", "paths", "queries", "slow clients", "Cypher", "CSV", "logs", "demo", "Access Manager",
    "control API", "command lines", "container", "erasure", "lastSeen", "generated calls",
)  # fmt: skip
"""What the page must speak of."""


@cache
def functions(path: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_threat_has_a_control_and_a_test() -> None:
    """Three cells, the last of which names at least one test."""
    assert len(THREATS) >= 30
    for threat in THREATS:
        assert len(threat) == 3, threat
        assert _TEST.search(threat[2]), f"no test: {threat[0]}"


def test_every_test_that_the_page_names_is_there() -> None:
    """The file and, where it is named, the function in it."""
    found = _TEST.findall(PAGE)
    assert sum(bool(name) for _, name in found) >= 40
    lost = [
        f"{path}::{name}"
        for path, name in found
        if not (ROOT / path).exists() or (name and name not in functions(path))
    ]
    assert lost == []


def test_the_page_speaks_of_everything_that_is_tested() -> None:
    """A subject that goes out of the page is missed."""
    assert [word for word in ASKED if word not in PAGE] == []
