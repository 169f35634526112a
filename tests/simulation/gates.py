"""The gates that every call to a database or to PubNub passes: a script delays, fails or loses any of them.

A call is named by what it does ("commit", "append inbox"). It can be delayed before it is performed; its response can
be delayed; it can fail without being performed; it can be performed and its response lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

from tests.simulation.loop import Life

Response = TypeVar("Response")
DELAY, DELAY_RESPONSE, FAIL, LOSE = "delay", "delay response of", "fail", "lose response of"
MODES = (DELAY, DELAY_RESPONSE, FAIL, LOSE)
KINDS = (
    "commit", "read", "look", "load flags", "outbox read", "outbox look", "outbox delete", "friends", "visibility",
    "append seen", "append inbox", "append events", "append dead", "delete seen", "delete inbox", "delete events",
    "read streams", "watermark", "lease", "cursor", "poll", "publish", "where now", "here now", "post",
)  # fmt: skip
MUST_FINISH = frozenset({"commit", "publish"})
"""What a process that stops gracefully waits for."""


class Gates:
    """Which calls wait, and which will fail."""

    def __init__(self) -> None:
        self._delayed: set[tuple[str, str, str]] = set()
        self._faults: dict[tuple[str, str], deque[str]] = {}
        self._waiting: deque[tuple[str, str, asyncio.Future[None]]] = deque()
        self.calls: Counter[str] = Counter()
        """How often each kind was performed."""
        self.failed: Counter[str] = Counter()
        """How often each kind failed."""
        self.abandoned: list[tuple[str, str]] = []
        """Calls that their own process cancelled before their response, by process and kind."""

    def arm(self, process: str, mode: str, kind: str) -> None:
        """From now on calls of this kind wait, or the next one fails."""
        if mode in {DELAY, DELAY_RESPONSE}:
            self._delayed.add((process, mode, kind))
        else:
            self._faults.setdefault((process, kind), deque()).append(mode)

    def release(self, process: str) -> None:
        """All that waits continues, in the order it came."""
        self._delayed = {one for one in self._delayed if one[0] != process}
        self._resume([one for one in self._waiting if one[0] == process])

    def release_one(self, process: str, number: int = 0) -> None:
        """One call that waits continues; further ones still wait."""
        if some := [one for one in self._waiting if one[0] == process]:
            self._resume([some[number % len(some)]])

    def calm(self) -> None:
        """No call waits, and none fails any more."""
        self._delayed.clear()
        self._faults.clear()
        self._resume(list(self._waiting))

    def waiting(self, process: str) -> list[str]:
        """The kinds of the calls that wait."""
        return [kind for name, kind, _ in self._waiting if name == process]

    async def call(
        self, life: Life, kind: str, perform: Callable[[], Response], failure: Callable[[], Exception]
    ) -> Response:
        """Pass the gate, and perform the call at one instant."""
        faults = self._faults.get((life.name, kind))
        fault = faults.popleft() if faults else ""
        self.failed[kind] += bool(fault)
        try:
            if (life.name, DELAY, kind) in self._delayed:
                await self._wait(life, kind)
            else:
                await asyncio.sleep(0)
            if fault == FAIL:
                raise failure()
            self.calls[kind] += 1
            response = perform()
            if (life.name, DELAY_RESPONSE, kind) in self._delayed:
                await self._wait(life, kind)
        except asyncio.CancelledError:
            self.abandoned.append((life.name, kind))
            raise
        if fault == LOSE:
            raise failure()
        return response

    async def _wait(self, life: Life, kind: str) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((life.name, kind, future))
        await future

    def _resume(self, some: list[tuple[str, str, asyncio.Future[None]]]) -> None:
        for one in some:
            self._waiting.remove(one)
            if not one[2].done():
                one[2].set_result(None)
