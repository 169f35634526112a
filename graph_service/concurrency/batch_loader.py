"""One question for all who ask the same kind of thing at nearly the same moment. Knows keys and answers, no engine.

One question is under way at a time; whoever asks meanwhile is in the next. After one with company the next keeps a
distance, so that it has company as well. So nobody waits who asks alone, one question after the other, and the more is
asked at once the less each costs: a question to the graph costs a process about a millisecond, however many users are in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

Result = TypeVar("Result")

MIN_INTERVAL_SECONDS = 0.02
"""Seconds from the beginning of a question that held several keys to the beginning of the next."""
MAX_BATCH = 500
"""Keys of one question; further ones are in the one after."""


class BatchLoader(Generic[Result]):
    """Asks `read` about many keys at once; it answers for those it knows."""

    def __init__(
        self,
        read: Callable[[list[str]], Awaitable[Mapping[str, Result]]],
        distance: float = MIN_INTERVAL_SECONDS,
    ) -> None:
        self._read = read
        self._distance = distance
        self._wanted: dict[str, asyncio.Future[Result | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._not_before = float("-inf")

    async def ask(self, key: str) -> Result | None:
        """The answer for one key, None for an unknown one. The question that holds it begins after this call.

        Raises whatever `read` raises, for everybody in the question.
        """
        future = self._wanted.get(key)
        if future is None:
            future = self._wanted[key] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._run(), name="ask together")
        return await asyncio.shield(future)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._wanted:
            await asyncio.sleep(max(0.0, self._not_before - loop.time()))
            keys = list(self._wanted)[:MAX_BATCH]
            if len(keys) > 1:
                self._not_before = loop.time() + self._distance
            asked = {key: self._wanted.pop(key) for key in keys}
            try:
                found = await self._read(keys)
            except Exception as error:  # noqa: BLE001 - it is theirs who asked
                for future in asked.values():
                    future.set_exception(error)
                    future.exception()  # whoever has gone meanwhile leaves no error that nobody heard
            else:
                for key, future in asked.items():
                    future.set_result(found.get(key))
