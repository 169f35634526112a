"""The inbox streams (row 8 of the walk): what is to be told, by recipient partition. Knows streams, not HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from graph_service import tracing
from graph_service.valkey import Valkey
from pubnub_bridge import keys
from pubnub_bridge.notice import Notice, Outgoing, SyncNotice, encode


class Inbox:
    """Appends to, and deletes from, the inbox streams."""

    def __init__(self, valkey: Valkey, partition: Callable[[str], int]) -> None:
        self._valkey = valkey
        self._partition = partition

    def outgoing(self) -> Outgoing:
        """An empty set of notices to be filled and appended."""
        return Outgoing(self._partition)

    async def append(self, outgoing: Outgoing) -> None:
        """Accept notices, one entry a partition. Raises QueueUnavailable, and then none is accepted."""
        if bodies := outgoing.bodies():
            with tracing.span("append notices", partitions=len(bodies), recipients=outgoing.recipients):
                await self._valkey.append([(keys.inbox(number), body) for number, body in bodies.items()])

    async def owe(self, users: Iterable[str], reason: str) -> None:
        """Promise a friends.sync to each of these users; it is read when it is sent."""
        outgoing = self.outgoing()
        for user in users:
            outgoing.sync(SyncNotice(user, reason=reason))
        await self.append(outgoing)

    async def put_back(self, partition: int, notices: Sequence[Notice | SyncNotice]) -> None:
        """Append what could not be published again, at the end."""
        await self._valkey.append([(keys.inbox(partition), encode(notices))])

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Forget entries by partition: all they said is published or appended again."""
        await self._valkey.delete({keys.inbox(number): ids for number, ids in entries.items() if ids})
