"""Planted bugs, to prove that the judge finds them; the only code that reaches into the bridge.

They are here and not behind a switch of the product, so that an installed bridge cannot have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from graph_service.friends.presence_flags import Flags
from graph_service.model.model import CommitResult, Flag, PresenceSnapshot
from pubnub_bridge.debounce.committer import Batch, Committed, FlagCommitter
from pubnub_bridge.debounce.debouncer import Change, Debouncer
from pubnub_bridge.fanout.publisher import PartitionOutbox

Plant = Callable[[ExitStack], None]


def _delete_before_publish(stack: ExitStack) -> None:
    """Entries of the inbox stream are deleted as soon as they are read."""

    def finished(self: PartitionOutbox) -> list[str]:
        for generation in self.batcher.finished():
            self._entries.pop(generation, None)
        done = [entry for entries in self._entries.values() for entry in entries]
        self._entries.clear()
        return done

    stack.enter_context(patch.object(PartitionOutbox, "finished", finished))


def _read_before_commit(stack: ExitStack) -> None:
    """Commit and read the other way round: what is announced was read before the flags were written."""
    real_write, real_read = Flags.write_flags, Flags.read_snapshots
    read: dict[str, PresenceSnapshot] = {}

    async def write_flags(self: Flags, flags: Sequence[Flag]) -> CommitResult:
        rows = {one.user: one for one in await real_read(self, [flag.user for flag in flags])}
        for flag in flags:
            if flag.user in rows:
                row = rows[flag.user]
                read[flag.user] = replace(row, online=flag.online, present=flag.online, presence_at=flag.at)
        return await real_write(self, flags)

    async def read_snapshots(self: Flags, ids: Sequence[str]) -> list[PresenceSnapshot]:
        now = {one.user: one for one in await real_read(self, ids)}
        return [
            replace(read.pop(user), ts=row.ts) if user in read else row for user, row in now.items()
        ]  # fmt: skip

    stack.enter_context(patch.object(Flags, "write_flags", write_flags))
    stack.enter_context(patch.object(Flags, "read_snapshots", read_snapshots))


def _flap_not_written(stack: ExitStack) -> None:
    """A flap is resolved without being committed."""
    real = Debouncer._make_ready

    def make_ready(self: Debouncer, change: Change) -> None:
        if change.notify or change.redelivered:
            real(self, change)
        else:
            self._release(change.entries)

    stack.enter_context(patch.object(Debouncer, "_make_ready", make_ready))


def _state_of_the_event(stack: ExitStack) -> None:
    """The state that was decided is announced, with the read's clock, whatever the read returned."""
    real_commit, real_read = FlagCommitter.commit_and_read, Flags.read_snapshots
    decided: dict[str, Any] = {}

    async def commit_and_read(self: FlagCommitter, batch: Batch) -> Committed | None:
        decided.update({change.user: change for part in batch.parts for _, change in part})
        return await real_commit(self, batch)

    async def read_snapshots(self: Flags, ids: Sequence[str]) -> list[PresenceSnapshot]:
        return [_as(row, decided.pop(row.user, None)) for row in await real_read(self, ids)]

    stack.enter_context(patch.object(FlagCommitter, "commit_and_read", commit_and_read))
    stack.enter_context(patch.object(Flags, "read_snapshots", read_snapshots))


def _as(row: PresenceSnapshot, change: Change | None) -> PresenceSnapshot:
    if change is None:
        return row
    online = change.online and not row.invisible
    return replace(row, online=online, present=change.online, presence_at=change.at)


BUGS: dict[str, Plant] = {
    "delete before publish": _delete_before_publish,
    "read before commit": _read_before_commit,
    "flap not written": _flap_not_written,
    "state of the event": _state_of_the_event,
}


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """The bridge of this process has that bug; none for None."""
    with ExitStack() as stack:
        if name:
            BUGS[name](stack)
        yield
