"""Queues of notifications between the commit and the publish: one contract for Valkey's streams and SQS FIFO."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Protocol

import pytest
import redis.asyncio as redis

from graph_service.errors import QueueUnavailable
from graph_service.model.sharding import ShardMap
from graph_service.valkey.client import FIRST, Valkey
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.fanout.sqs_queue import BadQueue, SqsQueue
from pubnub_bridge.model.notification import Event, Notification, SyncNotification, decode, encode
from pubnub_bridge.store import keys
from pubnub_bridge.store.inbox_streams import InboxStreams, ValkeyQueue
from tests.conftest import Servers
from tests.support import sqs
from tests.support.sqs import SqsServer

PARTITIONS = range(4)
SHARDS = ShardMap(4, 8)


class Queue(Protocol):
    """What the bridge uses, and a way to read."""

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """See `NotificationQueue`."""

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """See `NotificationQueue`."""

    async def read(self) -> dict[int, list[tuple[str, bytes]]]:
        """The entries that the next reader receives, by partition."""


class ReadStreams(ValkeyQueue):
    """Streams, read from the first entry as at a take-over."""

    def __init__(self, valkey: Valkey) -> None:
        super().__init__(valkey=valkey)
        self._streams = valkey

    async def read(self) -> dict[int, list[tuple[str, bytes]]]:
        """See `Queue`."""
        found = await self._streams.read({keys.inbox(number): FIRST for number in PARTITIONS})
        return {keys.partition_of(key): rows for key, rows in found.items()}


class ReadSqs:
    """SQS, read by `receive`."""

    def __init__(self, queue: SqsQueue) -> None:
        self.append, self.delete, self._receive = queue.append, queue.delete, queue.receive

    async def read(self) -> dict[int, list[tuple[str, bytes]]]:
        """See `Queue`."""
        found: dict[int, list[tuple[str, bytes]]] = {}
        while some := await self._receive(0):
            for one in some:
                found.setdefault(one.partition, []).append((one.id, one.body))
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[SqsServer]:
    """moto's."""
    with sqs.serving() as one:
        yield one


@pytest.fixture(params=["streams", "sqs"])
async def queue(request: pytest.FixtureRequest, servers: Servers, server: SqsServer) -> AsyncIterator[Queue]:
    """Empty, of either kind."""
    if request.param == "sqs":
        async with SqsQueue.open(server.queue()) as opened:
            yield ReadSqs(opened)
        return
    async with redis.Redis.from_url(servers.redis_url) as client:
        await client.flushdb()
    async with open_valkey(servers.redis_url) as valkey:
        yield ReadStreams(valkey)


def bodies(found: Mapping[int, Sequence[tuple[str, bytes]]]) -> dict[int, list[bytes]]:
    """Without the ids."""
    return {number: [body for _, body in rows] for number, rows in found.items()}


async def test_a_partitions_entries_come_in_their_order(queue: Queue) -> None:
    """Over one append and over several, and no partition's entries come under another."""
    await queue.append([(1, b"[1]"), (2, b"[2]"), (1, b"[3]")])
    await queue.append([(1, b"[4]")])
    assert bodies(await queue.read()) == {1: [b"[1]", b"[3]", b"[4]"], 2: [b"[2]"]}


async def test_a_deleted_entry_does_not_come_again(queue: Queue) -> None:
    """The entries after it do; deleting twice is no error."""
    await queue.append([(1, b"[1]")])
    ((first, _),) = (await queue.read())[1]
    for _ in range(2):
        await queue.delete({1: [first]})
    await queue.append([(1, b"[2]")])
    assert bodies(await queue.read()) == {1: [b"[2]"]}


async def test_the_same_body_twice_is_two_entries(queue: Queue) -> None:
    """A requeued entry has the body it had, and must not be dropped as a duplicate."""
    await queue.append([(1, b"[1]")])
    await queue.append([(1, b"[1]"), (1, b"[1]")])
    assert bodies(await queue.read()) == {1: [b"[1]"] * 3}


async def test_more_entries_than_a_call_takes_are_all_accepted(queue: Queue) -> None:
    """In their order."""
    await queue.append([(number % 4, b"[%d]" % number) for number in range(37)])
    assert await drained(queue) == {
        part: [b"[%d]" % number for number in range(part, 37, 4)] for part in PARTITIONS
    }


async def drained(queue: Queue) -> dict[int, list[bytes]]:
    """Everything, as received by a reader that deletes what it has before it reads on."""
    found: dict[int, list[bytes]] = {}
    while rows := await queue.read():
        for number, some in bodies(rows).items():
            found.setdefault(number, []).extend(some)
        await queue.delete({number: [one for one, _ in some] for number, some in rows.items()})
    return found


async def test_no_notification_is_too_large(queue: Queue) -> None:
    """Every recipient is in one entry, once; a sync that does not fit becomes a pending resync."""
    event = Event("ann", "online", 1, 2, b'{"say":"' + "é".encode() * 9000 + b'"}')
    users = [f"user-{number:070d}" for number in range(9000)]
    notifications: list[Notification | SyncNotification] = [
        Notification(event, users),
        SyncNotification("ben", 5, 9000, users, "join"),
        Notification(event, ["cleo"]),
    ]
    await queue.append([(1, encode(notifications))])
    received = [one for body in (await drained(queue))[1] for one in decode(body)]
    recipients = [
        recipient for one in received if isinstance(one, Notification) for recipient in one.recipients
    ]
    assert recipients == [*users, "cleo"]
    (sync,) = [one for one in received if isinstance(one, SyncNotification)]
    assert sync.user == "ben"
    assert list(sync.friends) == users if isinstance(queue, ReadStreams) else sync.friends is None  # type: ignore[arg-type]


async def test_a_name_with_any_characters_arrives_as_it_was(queue: Queue) -> None:
    """Two characters are valid in JSON and not in SQS."""
    name = 'Ann \ufffe\uffff \U0001f600 \x00\x1f é \\ "'
    body = json.dumps({"name": name}, ensure_ascii=False).encode()
    entry = encode([Notification(Event("ann", "online", 1, 2, body), ["ben"])])
    await queue.append([(1, entry)])
    ((got,),) = (await drained(queue)).values()
    assert not isinstance(queue, ReadSqs) or not set("\ufffe\uffff") & set(got.decode())
    (notification,) = decode(got)
    assert isinstance(notification, Notification)
    assert json.loads(notification.event.body)["name"] == name


async def test_inbox_streams_work_with_either_queue(queue: Queue, servers: Servers) -> None:
    """Notifications, pending resyncs and requeued entries arrive in the recipient's partition."""
    async with open_valkey(servers.redis_url) as valkey:
        inbox = InboxStreams(valkey=valkey, partition=SHARDS.partition, queue=queue)
        notifications = inbox.notifications()
        notifications.add(Event("ann", "online", 1, 2, b"{}"), ["ben"])
        await inbox.append(notifications)
        await inbox.request_sync(["ben"], "asked")
        await inbox.requeue(SHARDS.partition("ben"), [SyncNotification("ben", reason="lost")])
    found = await queue.read()
    assert set(found) == {SHARDS.partition("ben")}
    kinds = [type(one) for _, body in found[SHARDS.partition("ben")] for one in decode(body)]
    assert kinds == [Notification, SyncNotification, SyncNotification]


async def test_a_partition_is_read_by_one_reader_at_a_time(server: SqsServer) -> None:
    """SQS only: while one reader has entries of a partition, another receives those of other partitions alone."""
    url = server.queue()
    async with SqsQueue.open(url) as one, SqsQueue.open(url) as other:
        await one.append([(1, b"[1]")])
        (received,) = await one.receive(0)
        await one.append([(1, b"[2]"), (2, b"[3]")])
        assert [got.partition for got in await other.receive(0)] == [2]
        await one.delete({1: [received.id]})
        assert [got.body for got in await other.receive(0)] == [b"[2]"]


async def test_an_entry_that_a_reader_did_not_delete_comes_again(
    server: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS only: to another reader, after the visibility timeout; streams are read again anyway."""
    monkeypatch.setattr("pubnub_bridge.fanout.sqs_queue.VISIBILITY_TIMEOUT_SECONDS", 1)
    url = server.queue()
    async with SqsQueue.open(url) as died, SqsQueue.open(url) as other:
        await died.append([(1, b"[1]")])
        assert len(await died.receive(0)) == 1
        found: list[bytes] = []
        async with asyncio.timeout(30):
            while not found:
                found = [one.body for one in await other.receive(1)]
        assert found == [b"[1]"]


async def test_an_unusable_queue_is_reported_with_its_fault(server: SqsServer) -> None:
    """A malformed URL, a queue that is not FIFO, one that does not exist, a server that does not respond."""
    for url in ("https://127.0.0.1/1/a.fifo", server.queue(fifo=False)):
        with pytest.raises(BadQueue, match=r"QUEUE_URL=.*FIFO|must be like"):
            async with SqsQueue.open(url):
                pass
    gone = server.queue().replace(".fifo", "-gone.fifo")
    for url in (gone, "sqs+http://127.0.0.1:1/1/a.fifo"):
        with pytest.raises(QueueUnavailable, match="SQS"):
            async with SqsQueue.open(url):
                pass
