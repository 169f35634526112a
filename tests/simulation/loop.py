"""An event loop that a script moves: virtual time, no sleeping, and processes that can be killed between two steps.

Whatever runs belongs to a process, by a context variable that its tasks inherit. A killed process never runs another
step: no `finally`, no `except`, as after SIGKILL. A frozen one runs nothing until it is thawed, as after SIGSTOP.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import random
import threading
import time
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

BEGIN = 1_000_000_000
"""Milliseconds since the epoch at which every simulation begins; small, so that a float holds a millionth of one."""
CLOSE = 1e-3
"""Milliseconds by which a float may be off."""
BUSY = 3000
"""Steps of one instant after which something goes round without waiting; then time passes all the same."""
LOST = 2.0
"""Seconds that pass in every so many further steps."""


@dataclass(eq=False)
class Life:
    """Whether a process runs, and what it has begun."""

    name: str
    alive: bool = True
    frozen: bool = False
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    deferred: list[asyncio.Handle] = field(default_factory=list)
    """What would have run while it was frozen, or after it was killed."""


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class NumberedFuture(asyncio.Future[Any]):
    """Its place in a set does not depend on where it lies in memory."""

    def __init__(self, *, loop: ScriptedLoop) -> None:
        super().__init__(loop=loop)
        self._place = loop.number()

    def __hash__(self) -> int:
        return self._place

    def __eq__(self, other: object) -> bool:
        return self is other


class NumberedTask(asyncio.Task[Any]):
    """The same of tasks."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: ScriptedLoop, **how: Any) -> None:
        self._place = loop.number()
        super().__init__(coro, loop=loop, **how)

    def __hash__(self) -> int:
        return self._place

    def __eq__(self, other: object) -> bool:
        return self is other


class ScriptedLoop(asyncio.AbstractEventLoop):
    """Runs what is ready, and lets time pass, when the script says so."""

    def __init__(self) -> None:
        self._time = BEGIN / 1000
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self.errors: list[BaseException] = []
        """Errors that were not caught."""
        self.busy: set[str] = set()
        """Processes that went round without waiting."""

    @property
    def milliseconds(self) -> int:
        """Virtual milliseconds since the epoch."""
        return int(self._time * 1000 + CLOSE)

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return self._time

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run at the next turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run when so much virtual time has passed."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run at a virtual moment."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self.number(), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return NumberedFuture(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """A task, remembered by the process it belongs to, so that nothing of it is finalised early."""
        task = NumberedTask(coro, loop=self, name=name, context=context)
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.tasks.append(task)
        return task

    def number(self) -> int:
        """One that was not given before."""
        self._number += 1
        return self._number

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Whether a step is being run."""
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        """Never."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember an error that was not caught."""
        if error := context.get("exception"):
            self.errors.append(error)

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        """It is skipped when its moment comes."""

    def spawn(self, life: Life, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of a process."""
        context = copy_context()
        context.run(LIFE.set, life)
        return self.create_task(coro, context=context)

    def run_ready(self) -> None:
        """Run until nothing is ready any more; no time passes."""
        steps = 0
        events._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                self._run(handle)
                steps += 1
                if steps % BUSY == 0:
                    self._lose_time(handle)
        finally:
            events._set_running_loop(None)

    def _lose_time(self, handle: asyncio.Handle) -> None:
        life = handle._context.get(LIFE)
        self.busy.add(life.name if life else "")
        self._time += LOST
        while self._timers and self._timers[0][0] <= self._time:
            self._ready.append(heapq.heappop(self._timers)[2])

    def advance(self, milliseconds: int) -> None:
        """Let time pass; whatever falls due on the way runs at its moment."""
        end = (self.milliseconds + milliseconds) / 1000
        self.run_ready()
        while self._timers and self._timers[0][0] <= end:
            when, _, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._time = max(self._time, when)
                self._ready.append(handle)
                self.run_ready()
        self._time = max(self._time, end)

    def thaw(self, life: Life) -> None:
        """A frozen process goes on where it was."""
        life.frozen = False
        self._ready.extend(life.deferred)
        life.deferred.clear()

    def end(self, lives: list[Life]) -> None:
        """Cancel all that is left, so that no coroutine is finalised outside of a loop."""
        for life in lives:
            life.alive, life.frozen = True, False
            self._ready.extend(life.deferred)
            life.deferred.clear()
            for task in life.tasks:
                if inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:
                    task.get_coro().close()
        for _ in range(8):
            left = [task for life in lives for task in life.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_ready()
        self._timers.clear()
        self._ready.clear()

    def _run(self, handle: asyncio.Handle) -> None:
        if handle._cancelled:
            return
        life = handle._context.get(LIFE)
        if life is not None and (life.frozen or not life.alive):
            life.deferred.append(handle)
            return
        handle._run()


@contextmanager
def virtual_time(loop: ScriptedLoop) -> Iterator[None]:
    """In this thread the product's clocks are the loop's, and its jitter is the same each time."""
    state, thread = random.getstate(), threading.get_ident()
    monotonic, seconds, nanoseconds = time.monotonic, time.time, time.time_ns

    def here() -> bool:
        return threading.get_ident() == thread

    random.seed(7)
    with (
        patch.object(time, "monotonic", lambda: loop.time() if here() else monotonic()),
        patch.object(time, "time", lambda: loop.time() if here() else seconds()),
        patch.object(time, "time_ns", lambda: loop.milliseconds * 1_000_000 if here() else nanoseconds()),
    ):
        try:
            yield
        finally:
            random.setstate(state)
