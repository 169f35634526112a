"""Wait for an event, but not for longer than so many seconds."""

from __future__ import annotations

import asyncio


async def wait_or_timeout(event: asyncio.Event, *, seconds: float) -> bool:
    """Return once the event is set, or `seconds` have passed; True where it is set. At once for 0 or less."""
    if seconds <= 0 or event.is_set():
        return event.is_set()
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
