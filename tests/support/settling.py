"""What settling leans on, in unit tests of its own."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, MagicMock


def around(graph: Any, inbox: Any) -> MagicMock:
    """This graph and this inbox at a moment long after everything is due; whatever else is asked succeeds."""
    made = MagicMock(now=lambda: 10_000, verify_leaves=False, flags=graph, inbox=inbox)
    made.watermark.read = lambda call: call()
    made.events, made.change_history.add, made.log.delete = AsyncMock(), AsyncMock(), AsyncMock()
    return made
