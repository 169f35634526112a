"""Thousands of simultaneous connects do not wait for each other, on the event loop of production."""

from __future__ import annotations

import asyncio
import socket

import uvloop

from local_stack.origin.app import ACCEPTS_PER_TURN, start

CLIENTS = 128


async def turns_until_all_are_in() -> int:
    """The loop's turns until every connected client is accepted."""
    running = await start()
    clients = [socket.create_connection((running.host, running.port)) for _ in range(CLIENTS)]
    turns = 0
    async with asyncio.timeout(10):
        while len(running._lanes.lanes) < CLIENTS:
            turns += 1
            await asyncio.sleep(0)
    for client in clients:
        client.close()
    await running.close()
    return turns


async def test_several_are_accepted_in_a_turn() -> None:
    """One a turn would need as many turns as clients, each as long as everything else in it."""
    turns = await asyncio.to_thread(uvloop.run, turns_until_all_are_in())
    assert turns <= 2 * CLIENTS / ACCEPTS_PER_TURN + 4
