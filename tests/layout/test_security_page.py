"""`docs/security.md`: every threat names its control and a test, and every named test exists."""

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
SUBJECTS = (
    "inbox", "presence", "none", "confusion", "issuer", "expired", "key id", "huge", "webhook", "IDOR", "flooding",
    "headers", "bodies", "paths", "queries", "slow clients", "Cypher", "CSV", "logs", "demo", "Access Manager",
    "control API", "command lines", "container", "erasure", "lastSeen", "generated calls",
)  # fmt: skip
"""What the page must mention."""


@cache
def functions(path: str) -> set[str]:
    """The names of a file's functions."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_threat_has_a_control_and_a_test() -> None:
    """Three cells, the last of which names at least one test."""
    assert len(THREATS) >= 30
    for threat in THREATS:
        assert len(threat) == 3, threat
        assert _TEST.search(threat[2]), f"no test: {threat[0]}"


def test_every_test_that_the_page_names_exists() -> None:
    """The file, and the function if one is named."""
    found = _TEST.findall(PAGE)
    assert sum(bool(name) for _, name in found) >= 40
    lost = [
        f"{path}::{name}"
        for path, name in found
        if not (ROOT / path).exists() or (name and name not in functions(path))
    ]
    assert lost == [], "renamed or moved: see `git log --follow` of the file"


def test_the_page_mentions_every_subject() -> None:
    assert [word for word in SUBJECTS if word not in PAGE] == []
