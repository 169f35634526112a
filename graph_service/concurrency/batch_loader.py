"""Batch loader (as DataLoader): callers that ask for keys at nearly the same moment share one read.

One read is in progress at a time; a key that is asked for during it goes into the next, even where the running one
has the same key, since its result may be older than the call. After a read of several keys the next begins no sooner
than the minimum interval, so that it collects several as well; a caller that is alone never waits for it. So the more
is asked at once, the less each key costs: a query costs a process about a millisecond, however many users are in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

Result = TypeVar("Result")

MIN_INTERVAL_SECONDS = 0.02
"""From the beginning of a read of several keys to the beginning of the next."""
MAX_BATCH = 500
"""Keys of one read; further ones are in the one after."""


class BatchLoader(Generic[Result]):
    """Reads many keys at once with `read`, which returns a result for each key that exists."""

    def __init__(
        self,
        *,
        read: Callable[[list[str]], Awaitable[Mapping[str, Result]]],
        min_interval_seconds: float = MIN_INTERVAL_SECONDS,
    ) -> None:
        self._read = read
        self._min_interval_seconds = min_interval_seconds
        self._pending: dict[str, asyncio.Future[Result | None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._not_before = float("-inf")

    async def load(self, key: str) -> Result | None:
        """The result for one key, None for an unknown one, from a read that begins after this call.

        Raises whatever `read` raises, in every caller of that read.
        """
        future = self._pending.get(key)
        if future is None:
            future = self._pending[key] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._run(), name="batch-loader")
        # Shielded: a caller that gives up must not take the result from the others of its key.
        return await asyncio.shield(future)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            await asyncio.sleep(max(0.0, self._not_before - loop.time()))
            keys = list(self._pending)[:MAX_BATCH]
            if len(keys) > 1:
                self._not_before = loop.time() + self._min_interval_seconds
            futures = {key: self._pending.pop(key) for key in keys}
            try:
                found = await self._read(keys)
            except Exception as error:  # noqa: BLE001 - it belongs to the callers
                for future in futures.values():
                    future.set_exception(error)
                    future.exception()  # marked as retrieved: every caller of this key may have given up by now
            else:
                for key, future in futures.items():
                    future.set_result(found.get(key))
