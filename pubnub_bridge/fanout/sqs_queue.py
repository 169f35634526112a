"""SQS queue: notifications over AWS SQS FIFO instead of Valkey's streams; the only file that knows AWS's client.

A partition is a message group, so its entries stay in order and are with one reader at a time (AWS docs: FIFO delivery
logic). An entry that is not deleted within `VISIBILITY_TIMEOUT_SECONDS` is received again. Bodies are bytes. Needs the
extra `sqs`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from graph_service.errors import QueueUnavailable, SetupError
from pubnub_bridge.model.notification import split

MAX_MESSAGE_BYTES = 256 * 1024
"""Of one message, and of all messages of one call (AWS docs: quotas; newer queues allow more)."""
MAX_MESSAGES = 10
"""Of one call."""
VISIBILITY_TIMEOUT_SECONDS = 120
"""In which a reader must have finished: the longest batch window, and time for attempts."""
WAIT_SECONDS = 20
"""How long one read waits; the longest that SQS allows."""
_URL = re.compile(r"sqs(?:\+(http))?://([^/]+)(/.+\.fifo)")
_REGION = re.compile(r"sqs[.-]([a-z0-9-]+)\.amazonaws\.com")
_REJECTED = re.compile(b"\xef\xbf[\xbe\xbf]")
"""U+FFFE and U+FFFF, in UTF-8 (AWS docs: SendMessage)."""
_log = structlog.get_logger(__name__)


class BadQueue(SetupError):
    """QUEUE_URL={url} cannot be used: {reason}"""

    code = "bad_queue"


@dataclass(frozen=True, slots=True)
class Received:
    """One entry, until it is deleted."""

    partition: int
    id: str
    """SQS's receipt handle, which deletes it."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed QUEUE_URL: ``sqs://HOST/ACCOUNT/NAME.fifo``; ``sqs+http://`` for a server without TLS."""

    endpoint: str
    queue: str
    region: str | None

    @classmethod
    def of(cls, url: str) -> Address:
        """Raises `BadQueue` for anything else."""
        found = _URL.fullmatch(url)
        if not found:
            raise BadQueue(url=url, reason="it must be like sqs://sqs.REGION.amazonaws.com/ACCOUNT/NAME.fifo")
        endpoint = f"{found[1] or 'https'}://{found[2]}"
        region = _REGION.search(urlsplit(endpoint).netloc)
        return cls(endpoint, endpoint + found[3], region[1] if region else None)


class SqsQueue:
    """The queue of one process. A `NotificationQueue`; unlike with streams, any process may receive a partition's entries."""

    def __init__(self, client: Any, queue: str) -> None:
        self._client = client
        self._queue = queue

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[SqsQueue]:
        """Credentials come from where AWS's clients look for them (AWS docs: credential chain).

        Raises:
            BadQueue: the extra `sqs` is not installed, or it is no FIFO queue.
            QueueUnavailable: SQS does not answer, or rejects the call.
        """
        address = Address.of(url)
        try:
            from aiobotocore.config import AioConfig
            from aiobotocore.session import get_session
        except ImportError as error:
            raise BadQueue(url=url, reason=f"{error}. Install friends-presence[sqs]") from error
        config = AioConfig(connect_timeout=2, read_timeout=WAIT_SECONDS + 5, retries={"max_attempts": 2})
        more = {"region_name": address.region} if address.region else {}
        made = get_session().create_client("sqs", endpoint_url=address.endpoint, config=config, **more)
        with _aws():
            client = await made.__aenter__()
        try:
            queue = cls(client, address.queue)
            await queue._check(url)
            yield queue
        finally:
            await made.__aexit__(None, None, None)

    async def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Accept entries, each partition's in order. Raises QueueUnavailable; some may have been accepted then."""
        messages = [(number, part) for number, body in entries for part in sendable(body)]
        for call in _calls(messages):
            rows = [_message(row, *message) for row, message in enumerate(call)]
            with _aws():
                response = await self._client.send_message_batch(QueueUrl=self._queue, Entries=rows)
            if failed := response.get("Failed"):
                raise QueueUnavailable(reason=f"SQS rejected {len(failed)} of {len(rows)}: {failed[0]}")

    async def receive(self, wait: int = WAIT_SECONDS) -> list[Received]:
        """Up to ten entries, after at most `wait` seconds; none of a partition that a reader has entries of."""
        with _aws():
            response = await self._client.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=MAX_MESSAGES,
                WaitTimeSeconds=wait,
                VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
                MessageSystemAttributeNames=["MessageGroupId"],
            )
        return [
            Received(int(one["Attributes"]["MessageGroupId"]), one["ReceiptHandle"], one["Body"].encode())
            for one in response.get("Messages", ())
        ]

    async def delete(self, entries: Mapping[int, Sequence[str]]) -> None:
        """Delete entries. One that was too late stays, and is published again when it is received again."""
        ids = [one for some in entries.values() for one in some]
        for start in range(0, len(ids), MAX_MESSAGES):
            rows = [
                {"Id": str(n), "ReceiptHandle": one}
                for n, one in enumerate(ids[start : start + MAX_MESSAGES])
            ]
            with _aws():
                response = await self._client.delete_message_batch(QueueUrl=self._queue, Entries=rows)
            if failed := response.get("Failed"):
                _log.warning("sqs.delete.too_late", entries=len(failed))

    async def _check(self, url: str) -> None:
        with _aws():
            response = await self._client.get_queue_attributes(
                QueueUrl=self._queue, AttributeNames=["FifoQueue"]
            )
        if response.get("Attributes", {}).get("FifoQueue") != "true":
            raise BadQueue(url=url, reason="it is not a FIFO queue")


def sendable(body: bytes) -> list[bytes]:
    """An entry as messages that SQS accepts: not too large, and without the two characters that it rejects."""
    if not _REJECTED.search(body):
        return split(body, MAX_MESSAGE_BYTES)
    # Each grows from three bytes to six.
    return [_REJECTED.sub(_escaped, part) for part in split(body, MAX_MESSAGE_BYTES // 2)]


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def _message(row: int, partition: int, body: bytes) -> dict[str, str]:
    # Deduplication by content would swallow a notification that is requeued unchanged.
    return {
        "Id": str(row),
        "MessageBody": body.decode(),
        "MessageGroupId": str(partition),
        "MessageDeduplicationId": uuid.uuid4().hex,
    }


def _calls(messages: Sequence[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """As many messages a call as SQS accepts, in their order."""
    call: list[tuple[int, bytes]] = []
    size = 0
    for message in messages:
        if len(call) == MAX_MESSAGES or (call and size + len(message[1]) > MAX_MESSAGE_BYTES):
            yield call
            call, size = [], 0
        call.append(message)
        size += len(message[1])
    if call:
        yield call


@contextmanager
def _aws() -> Iterator[None]:
    """Translates the errors of AWS's client."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, TimeoutError) as error:
        raise QueueUnavailable(reason=f"SQS: {error or type(error).__name__}") from error
