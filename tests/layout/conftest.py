"""These tests read our own code."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_collection_while_parsing() -> Iterator[None]:
    """What earlier tests left is collected before.

    CPython 3.11's compiler miscounts its depth ("AST constructor recursion depth mismatch") where a collection in its
    midst logs a traceback, as that of a failed task which the SDK forgot does: formatting one compiles, too.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()
