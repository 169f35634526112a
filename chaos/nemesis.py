"""The nemesis: what is done to the system, and undone. Knows processes, signals, leases and the origin's control API."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import redis.asyncio as redis

from chaos.stack import Part, Stack

Inflicted = AbstractAsyncContextManager[None]


@dataclass(frozen=True)
class Fault:
    """One kind of fault; its block is as long as it lasts."""

    name: str
    inflicted: Callable[[Stack, random.Random], Inflicted]
    possible: Callable[[Stack], bool] = lambda _stack: True
    takes: float = 0.0
    """Seconds that it takes until it is there."""


@asynccontextmanager
async def _killed(parts: list[Part]) -> AsyncIterator[None]:
    await asyncio.gather(*(part.kill() for part in parts))
    try:
        yield
    finally:
        for part in parts:  # engines stand first: what needs them would end at once without them
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
    """kill -9, and a start a few seconds later."""
    return Fault(f"kill -9 {', '.join(names)}", lambda stack, chance: _killed(_chosen(stack, chance, names)))


def frozen(name: str) -> Fault:
    """SIGSTOP, and SIGCONT a few seconds later."""
    return Fault(f"SIGSTOP {name}", lambda stack, chance: _frozen(_chosen(stack, chance, (name,))))


def _chosen(stack: Stack, chance: random.Random, names: tuple[str, ...]) -> list[Part]:
    """Parts by name; "a bridge" is any, "all bridges" are all."""
    found = []
    for name in names:
        if name == "all bridges":
            found += stack.bridges
        elif name == "a bridge":
            found.append(chance.choice(stack.bridges))
        else:
            found.append(stack.parts[name])
    return found


def disturbed(name: str, *rules: dict[str, Any]) -> Fault:
    """Rules of the origin (docs/origin.md, faults)."""

    @asynccontextmanager
    async def inflicted(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
        await _rules(stack, list(rules))
        try:
            yield
        finally:
            await _rules(stack, [])

    return Fault(name, inflicted)


async def _rules(stack: Stack, rules: list[dict[str, Any]]) -> None:
    url = f"http://{stack.origin}/_control/keysets/{stack.access.subscribe_key}/faults"
    async with aiohttp.ClientSession() as http, http.put(url, json=rules) as reply:
        reply.raise_for_status()


@asynccontextmanager
async def _clock_jumps(stack: Stack, chance: random.Random) -> AsyncIterator[None]:
    part = chance.choice(stack.bridges)
    there, back = chance.sample((signal.SIGUSR1, signal.SIGUSR2), 2)
    part.signal(there)
    try:
        yield
    finally:
        part.signal(back)


@asynccontextmanager
async def _leases_lost(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
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


@asynccontextmanager
async def _disk_full(stack: Stack, _chance: random.Random) -> AsyncIterator[None]:
    if stack.small_disk is None:
        raise RuntimeError("there is no small disk to fill")
    filler = stack.small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


FAULTS = [
    killed("a bridge"),
    killed("Valkey"),
    killed("Neo4j"),
    killed("origin"),
    killed("all bridges"),
    frozen("a bridge"),
    disturbed("429 storm", {"kind": "status", "prefix": "/publish", "status": 429, "rate": 0.7}),
    disturbed("presence lost", {"kind": "lose", "prefix": "presence.", "rate": 0.5}),
    disturbed("events twice and out of order", {"kind": "duplicate", "rate": 0.5}, {"kind": "reorder", "rate": 0.5}),
    disturbed("connections reset", {"kind": "reset", "rate": 0.3}),
    disturbed("origin slow", {"kind": "slow", "rate": 0.5, "delay_ms": 1500}),
    killed("API"),
    frozen("Valkey"),
    frozen("Neo4j"),
    frozen("origin"),
    frozen("API"),
    Fault("a bridge's clock jumps", _clock_jumps),
    Fault("leases lost", _leases_lost),
    Fault("Valkey's disk full", _disk_full, lambda stack: stack.small_disk is not None),
    killed("Neo4j", "a bridge"),
    killed("Valkey", "all bridges"),
    disturbed("publishes refused", {"kind": "status", "prefix": "/publish", "status": 503, "rate": 0.9}),
]  # fmt: skip
"""Those first that a short run must not miss."""


def rounds(chance: random.Random) -> list[Fault]:
    """One round of all, the first five first, each group in an order of its own."""
    first, rest = FAULTS[:5], FAULTS[5:]
    return chance.sample(first, len(first)) + chance.sample(rest, len(rest))
