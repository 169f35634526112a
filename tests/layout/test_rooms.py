"""Rooms: each imports only what its `__init__` names, and a package has few files outside them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("graph_service", "pubnub_bridge", "local_stack", "bench")
ROOMS = sorted(path.parent for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py"))
MAX_FILES_AT_THE_ROOT = 8
_IMPORTS = re.compile(r"^Imports: (.+)\.$", re.MULTILINE)


def allowed(room: Path) -> set[str]:
    """The rooms and modules of the same package that the room's docstring names."""
    doc = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    line = _IMPORTS.search(doc)
    assert line, f"{room.name}/__init__.py has no line 'Imports: …'"
    return set(re.findall(r"`(\w+)`", line[1]))


def imported(file: Path, package: str) -> Iterator[str]:
    """The rooms and modules of the package that a file imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            yield from (alias.name for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            yield (node.module or "").split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith(f"{package}.")
            )


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_imports_only_what_its_line_allows(room: Path) -> None:
    """A new import between rooms is a decision, so it is written down first."""
    files = sorted(room.rglob("*.py"))
    found = {name for file in files for name in imported(file, room.parent.name)} - {room.name}
    assert found == allowed(room)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_at_most_eight_files_outside_its_rooms(package: str) -> None:
    files = {path.name for path in (ROOT / package).glob("*.py")} - {"__init__.py", "__main__.py"}
    assert len(files) <= MAX_FILES_AT_THE_ROOT, sorted(files)
