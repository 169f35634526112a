"""These tests parse the project's own code."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_collection_while_parsing() -> Iterator[None]:
    """Garbage of earlier tests is collected before, and none while parsing.

    CPython 3.11's compiler miscounts its depth ("AST constructor recursion depth mismatch") when a collection during a
    parse logs a traceback, as the collection of a failed task of the SDK does: formatting a traceback also compiles.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()
