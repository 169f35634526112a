"""House rules: function length, module docstrings, query files and their callers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph_service.graph.queries import HEADER_WORDS, OPTIONAL_WORDS, catalogue

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("graph_service", "pubnub_bridge", "local_stack", "bench")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}
"""Parsed once, while nothing else runs: CPython 3.11 miscounts its depth when a parse is interrupted (gh-106905)."""
MAX_FUNCTION_LINES = 50
CYPHER = re.compile(r"\b(MATCH|MERGE|UNWIND)\s*[($]|\bCREATE\s*\(|\bDETACH DELETE\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, with methods and inner functions."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, Function):
            yield node


def strings(path: Path) -> set[str]:
    """Every string of the file; a query is called by its name."""
    tree = TREES[path]
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_a_docstring_and_no_function_over_fifty_lines(path: Path) -> None:
    assert ast.get_docstring(TREES[path]), "a module begins with a docstring: what it is and its contract"
    for function in functions(path):
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{function.name} has {lines} lines"


def test_most_functions_are_short() -> None:
    """The median has at most 10 lines, nine of ten have at most 25."""
    lengths = sorted((f.end_lineno or 0) - f.lineno + 1 for path in FILES for f in functions(path))
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[len(lengths) * 9 // 10] <= 25


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "cypher").rglob("*.cypher")))
def test_a_query_file_has_a_header_and_a_caller(name: str) -> None:
    """Purpose, parameters, returned columns, locks and plan; and a string in Python names it."""
    query = catalogue()[name]
    assert set(query.header) - set(OPTIONAL_WORDS) == set(HEADER_WORDS)
    assert query.purpose.endswith((".", ":")), "the first line is a sentence"
    dynamic = {"requests_in": "requests_{direction}", "requests_out": "requests_{direction}"}
    callers = [path for path in FILES if name in strings(path)]
    if not callers and name in dynamic:
        callers = [path for path in FILES if "requests_" in path.read_text("utf-8")]
    assert callers, f"cypher/{name}.cypher has no caller"


def test_no_cypher_stands_in_python() -> None:
    """A query is a file, so that it can be reviewed without Python."""
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CYPHER.search(node.value)
    ]
    assert offenders == []
