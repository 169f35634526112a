"""The official JavaScript clients, versions 11 and 12, and the Chat SDK: everything beyond messages and presence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.origin_client import serving

JS = Path(__file__).parent / "js"


def steps(script: str) -> list[str]:
    """The names of a script's steps, in order."""
    return re.findall(r"^  async '([^']+)'\(\) \{$", (JS / script).read_text(), re.MULTILINE)


@pytest.mark.parametrize("client", ["pubnub11", "pubnub"])
@pytest.mark.parametrize(
    ("script", "access_manager"), [("objects.mjs", False), ("storage.mjs", False), ("access.mjs", True)]
)
async def test_a_javascript_client_does_its_steps(
    node: Callable[..., Any], client: str, script: str, access_manager: bool
) -> None:
    """Each step prints its name when it has passed."""
    async with serving(access_manager=access_manager) as origin:
        assert await node(script, origin.address, client) == steps(script)
    assert len(steps(script)) >= 3


async def test_the_chat_sdk_does_its_steps(node: Callable[..., Any]) -> None:
    """Users, channels, memberships, messages, reactions, typing, presence, threads; it also logs on its own."""
    async with serving() as origin:
        printed = await node("chat.mjs", origin.address)
    assert [line for line in printed if line in steps("chat.mjs")] == steps("chat.mjs")
    assert len(steps("chat.mjs")) == 14
