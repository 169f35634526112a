"""Fault injection: kill, freeze and disturb parts of the system, and undo it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import redis.asyncio as redis

from chaos.stack import Part, Stack

FaultContext = AbstractAsyncContextManager[None]
ANY, ALL = "a bridge", "all bridges"
"""Names that stand for bridges chosen when the fault begins."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault. It lasts as long as the block of `inflict`."""

    name: str
    inflict: Callable[[Stack, random.Random], FaultContext]
    possible: Callable[[Stack], bool] = lambda _stack: True
    setup_seconds: float = 0.0
    """Seconds until the fault has begun."""


@asynccontextmanager
async def _killed(parts: list[Part]) -> AsyncIterator[None]:
    await asyncio.gather(*(part.kill() for part in parts))
    try:
        yield
    finally:
        for part in parts:  # databases come first: processes that need them would end at once
            await part.start()


@asynccontextmanager
async def _frozen(parts: list[Part]) -> AsyncIterator[None]:
    for part in parts:
        part.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for part in parts:
            part.signal(signal.SIGCONT)


def killed(*names: str) -> Fault:
    """kill -9, and a start some seconds later."""
    return Fault(
        f"kill -9 {', '.join(names)}",
        lambda stack, chance: _killed(_chosen(stack, chance, names)),
        _exists(names),
    )


def frozen(name: str) -> Fault:
    """SIGSTOP, and SIGCONT some seconds later."""
    return Fault(
        f"SIGSTOP {name}", lambda stack, chance: _frozen(_chosen(stack, chance, (name,))), _exists((name,))
    )


def _exists(names: tuple[str, ...]) -> Callable[[Stack], bool]:
    """Whether all names are parts of a stack. The servers of a Cluster are not."""
    return lambda stack: all(name in stack.parts or name in {ANY, ALL} for name in names)


def _chosen(stack: Stack, chance: random.Random, names: tuple[str, ...]) -> list[Part]:
    """The parts with these names."""
    found = []
    for name in names:
        if name == ALL:
            found += stack.bridges
        elif name == ANY:
            found.append(chance.choice(stack.bridges))
        else:
            found.append(stack.parts[name])
    return found


def disturbed(name: str, *rules: dict[str, Any]) -> Fault:
    """Fault rules of the origin (docs/origin.md, faults)."""

    @asynccontextmanager
    async def inflict(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
        await _rules(stack, list(rules))
        try:
            yield
        finally:
            await _rules(stack, [])

    return Fault(name, inflict)


async def _rules(stack: Stack, rules: list[dict[str, Any]]) -> None:
    url = f"http://{stack.origin}/_control/keysets/{stack.access.subscribe_key}/faults"
    async with aiohttp.ClientSession() as http, http.put(url, json=rules) as reply:
        reply.raise_for_status()


@asynccontextmanager
async def clock_jumps(stack: Stack, chance: random.Random) -> AsyncIterator[None]:
    """Move a bridge's clock, and move it back (see `chaos.bridge`)."""
    part = chance.choice(stack.bridges)
    there, back = chance.sample((signal.SIGUSR1, signal.SIGUSR2), 2)
    part.signal(there)
    try:
        yield
    finally:
        part.signal(back)


@asynccontextmanager
async def leases_lost(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
    """Delete all leases once a second, as if the store had lost them."""
    async with redis.Redis.from_url(stack.engines.redis_url) as valkey:

        async def lose() -> None:
            while True:
                names = [key async for key in valkey.scan_iter("fp:*owner")]
                for key in [*names, "fp:leader", "fp:bridges"]:
                    await valkey.delete(key)
                await asyncio.sleep(1.0)

        task = asyncio.create_task(lose())
        try:
            yield
        finally:
            task.cancel()
