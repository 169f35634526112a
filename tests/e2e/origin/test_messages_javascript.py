"""The official JavaScript clients, versions 11 and 12: messages and presence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local_stack.origin.app import Running

STEPS = [
    "time is returned",
    "a subscriber connects and sees its own join",
    "another joins",
    "messages arrive by GET and by POST, with metadata and type",
    "a signal arrives and a long one is refused",
    "state is set, announced and read",
    "here now and where now agree",
    "groups and wildcards bring their channels",
    "a leave is announced",
]


@pytest.mark.parametrize("client", ["pubnub11", "pubnub"])
async def test_javascript_clients_meet_talk_and_part(
    origin: Running, node: Callable[..., Any], client: str
) -> None:
    """Every step of the script passes."""
    assert await node("messages.mjs", f"127.0.0.1:{origin.port}", client) == STEPS
