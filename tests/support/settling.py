"""A flag committer over stand-ins, for unit tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock, MagicMock

from graph_service.model.model import CommitResult
from pubnub_bridge.debounce.committer import FlagCommitter
from pubnub_bridge.debounce.debouncer import Debouncer

NONE: frozenset[str] = frozenset()
LONG_AFTER = 10_000
"""Milliseconds at which every change of these tests is due."""


def commit_result(**users: frozenset[str]) -> CommitResult:
    """A result in which no other set than these has users."""
    names = ("changed", "duplicate", "stale", "unknown", "flipped", "hidden")
    return CommitResult(**(dict.fromkeys(names, NONE) | users))


def committer(
    debouncers: Mapping[int, Debouncer], graph: Any, inbox: Any, **instead: Any
) -> tuple[FlagCommitter, AsyncMock]:
    """Commits to this graph and notifies this inbox; whatever else it calls succeeds. Also the log's `delete`."""
    watermark, log = MagicMock(), MagicMock(delete=AsyncMock(), append=AsyncMock())
    watermark.read = lambda call: call()
    parts: dict[str, Any] = {
        "debouncers": debouncers,
        "wakeup": asyncio.Event(),
        "flags": graph,
        "log": log,
        "inbox": inbox,
        "watermark": watermark,
        "lookups": MagicMock(),
        "change_history": MagicMock(add=AsyncMock()),
        "append_events": AsyncMock(),
        "dead_letter": AsyncMock(),
        "on_committed": lambda _snapshots: None,
        "on_batch_seconds": lambda _seconds: None,
        "verify_leaves": False,
        "now": lambda: LONG_AFTER,
    }
    return FlagCommitter(**(parts | instead)), log.delete
