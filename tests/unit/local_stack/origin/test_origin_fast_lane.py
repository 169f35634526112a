"""The fast path: which connections take it, pipelining, odd splits, and when aiohttp takes over."""

from __future__ import annotations

import asyncio
import json
import socket
import zlib
from collections.abc import AsyncIterator

import pytest

from local_stack.origin.access import Right
from local_stack.origin.app import Options, Running, start
from local_stack.origin.envelope import Envelope
from local_stack.origin.fast_lane import MAX_POLLS_PER_TURN
from local_stack.origin.faults import Fault
from local_stack.origin.token import Claims, encode

PUBLISH = b"GET /publish/demo/demo/0/ch/0/%d?uuid=a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /publish/demo/demo/0/ch/0?uuid=a HTTP/1.1\r\nHost: x\r\n"
TIME = b"GET /time/0 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """An origin on the machine's clock."""
    running = await start(Options(control=True))
    yield running
    await running.close()
    assert running.origin.errors == 0


class RawConnection:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, object]:
        """Status and JSON of the next response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        return int(head.split(b" ")[1]), json.loads(await self.reader.readexactly(length))


async def line(running: Running) -> RawConnection:
    return RawConnection(*await asyncio.open_connection("127.0.0.1", running.port))


def fast(running: Running) -> int:
    """The number of connections on the fast path."""
    return len(running._lanes.lanes)


async def test_pipelined_requests_get_responses_in_order(running: Running) -> None:
    """In one write or byte by byte."""
    text = b"".join(PUBLISH % number for number in range(5)) + TIME
    for pieces in ([text], [text[at : at + 1] for at in range(len(text))]):
        one = await line(running)
        for piece in pieces:
            one.writer.write(piece)
            await asyncio.sleep(0)
        answers = [await one.answer() for _ in range(6)]
        assert [status for status, _ in answers] == [200] * 6
        tokens = [int(body[2]) for _, body in answers[:5]]  # type: ignore[index]
        assert tokens == sorted(set(tokens))
        assert fast(running) >= 1
        one.writer.close()


async def test_a_request_after_an_open_poll_waits_for_its_response(running: Running) -> None:
    one, other = await line(running), await line(running)
    one.writer.write(b"GET /v2/subscribe/demo/ch/0?tt=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    _, body = await one.answer()
    tt = body["t"]["t"]  # type: ignore[index]
    one.writer.write(f"GET /v2/subscribe/demo/ch/0?tt={tt} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + TIME)
    await asyncio.sleep(0.01)
    other.writer.write(PUBLISH % 7)
    await other.answer()
    _, body = await one.answer()
    assert body["m"][0]["d"] == 7  # type: ignore[index]
    status, _ = await one.answer()
    assert status == 200


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /v2/objects/demo/uuids HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /time/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /time/0 HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET /time/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /signal/demo/demo/0/ch/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1",
        b"%sTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n" % POST,
        b"%sContent-Encoding: deflate\r\nContent-Length: 9\r\n\r\n%s" % (POST, zlib.compress(b"1")),
    ],
)
async def test_any_other_request_is_handed_over_to_aiohttp(running: Running, request_text: bytes) -> None:
    """Also in the middle of a connection."""
    one = await line(running)
    one.writer.write(TIME)
    assert (await one.answer())[0] == 200
    assert fast(running) == 1
    one.writer.write(request_text)
    assert (await one.answer())[0] == 200
    assert fast(running) == 0


async def test_a_keep_alive_header_changes_nothing(running: Running) -> None:
    """Many clients send it with every request."""
    one = await line(running)
    one.writer.write(b"GET /time/0 HTTP/1.1\r\nHost: x\r\nconnection: keep-alive\r\n\r\n")
    assert (await one.answer())[0] == 200
    assert fast(running) == 1


GETS = (
    "/v2/subscribe/demo/ch/0?tt=x",
    "/v2/subscribe/nope/ch/0?tt=0",
    "/publish/wrong/demo/0/ch/0/1",
    "/publish/demo/demo/0/ch/0/%7B",
    "/v2/presence/sub-key/demo/channel/ch",
    "/v2/presence/sub-key/demo/channel/ch/uuid/u/data",
    "/v2/presence/sub-key/demo/nothing",
    "/signal/demo/demo/0/ch/0/%22" + "x" * 70 + "%22",
    "/time/0/1/2",
    "/publish/demo/demo/0//0/1",
)
POSTS = (
    ("/publish/demo/demo/0/ch/0", b'{"a": 1}'),
    ("/publish/demo/demo/0/ch%2C/0?uuid=a&store=0", b"1"),
    ("/publish/wrong/demo/0/ch/0", b"1"),
    ("/publish/demo/nope/0/ch/0", b"1"),
    ("/publish/demo/demo/0/ch/0", b"{"),
    ("/publish/demo/demo/0/ch/0", b"\xff"),
    ("/publish/demo/demo/0/ch/0", b'"%s"' % (b"x" * 40_000)),
    ("/publish/demo/demo/0/ch/0", b'"%s"' % (b"x" * 70_000)),
    ("/publish/demo/demo/0/ch/0/1", b"1"),
    ("/publish/demo/demo/0/ch/0?meta=%7B", b"1"),
)


@pytest.mark.parametrize(
    ("start", "body"),
    [
        *((f"GET {target} HTTP/1.1\r\n", b"") for target in GETS),
        *((f"POST {target} HTTP/1.1\r\nContent-Length: {len(body)}\r\n", body) for target, body in POSTS),
    ],
)
async def test_both_paths_give_the_same_response(running: Running, start: str, body: bytes) -> None:
    """Status, body and the headers of the family, for successes and refusals."""
    responses = []
    for extra in (b"", b"Connection: close\r\n"):
        one = await line(running)
        one.writer.write(start.encode() + b"Host: x\r\n" + extra + b"\r\n" + body)
        head = (await one.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        kept = [text for text in head if not text.startswith(("date:", "server:", "connection:")) and text]
        answer = await one.reader.readexactly(
            next(int(text[15:]) for text in kept if text.startswith("content-l"))
        )
        responses.append((sorted(kept), [word for word in answer.split(b'"') if not word.isdigit()]))
        one.writer.close()
    assert responses[0] == responses[1]


async def test_a_post_is_published_by_the_fast_path_however_it_is_split(running: Running) -> None:
    """Two messages in one write, or byte by byte, each as it was sent."""
    reader = await line(running)
    reader.writer.write(b"GET /v2/subscribe/demo/ch/0?tt=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    _, first = await reader.answer()
    text = b"".join(
        b"%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (POST, len(body), body)
        for body in (b'{"n":1}', '"zwölf"'.encode())
    )
    for pieces in ([text], [text[at : at + 1] for at in range(len(text))]):
        one = await line(running)
        for piece in pieces:
            one.writer.write(piece)
            await asyncio.sleep(0)
        assert [(await one.answer())[0] for _ in range(2)] == [200, 200]
        assert fast(running) == 2
        one.writer.close()
        await asyncio.sleep(0.01)
    tt = first["t"]["t"]  # type: ignore[index]
    reader.writer.write(f"GET /v2/subscribe/demo/ch/0?tt={tt} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    _, body = await reader.answer()
    assert [message["d"] for message in body["m"]] == [{"n": 1}, "zwölf"] * 2  # type: ignore[index]


async def test_a_closed_poll_leaves_no_waiter(running: Running) -> None:
    one = await line(running)
    one.writer.write(b"GET /v2/subscribe/demo/ch/0?tt=1&uuid=u HTTP/1.1\r\nHost: x\r\n\r\n")
    keyset = running.origin.keysets["demo"]
    while keyset.channels.waiters != 1:  # noqa: ASYNC110 - the origin announces no poll
        await asyncio.sleep(0.001)
    one.writer.close()
    while keyset.channels.waiters:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert fast(running) == 0


async def test_a_client_that_sends_a_megabyte_into_an_open_poll_is_disconnected(running: Running) -> None:
    one = await line(running)
    one.writer.write(b"GET /v2/subscribe/demo/ch/0?tt=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await _flooded(one)
    assert fast(running) == 0


async def _flooded(one: RawConnection) -> None:
    for _ in range(40):
        one.writer.write(b"x" * 65536)
        await one.writer.drain()
    await one.answer()


async def test_a_message_to_many_does_not_delay_other_requests(running: Running) -> None:
    """Another request gets its response before the last subscriber gets the message."""
    channels = running.origin.keysets["demo"].channels
    many = [await line(running) for _ in range(10 * MAX_POLLS_PER_TURN)]
    for one in many:
        one.writer.write(b"GET /v2/subscribe/demo/ch/0?tt=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    while channels.waiters < len(many):  # noqa: ASYNC110 - the origin announces no poll
        await asyncio.sleep(0.001)
    other = await line(running)
    other.writer.write(PUBLISH % 7 + TIME)
    for _ in range(2):
        await other.answer()
    other.writer.write(TIME)
    await other.answer()
    assert channels.waiters, "some subscribers have not received it yet"
    for one in many:
        _, body = await one.answer()
        assert [message["d"] for message in body["m"]] == [7]  # type: ignore[index]
        one.writer.close()


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_client_that_has_disconnected_does_not_join(
    running: Running, there: bool, elsewhere: bool
) -> None:
    """A busy origin reads the poll of a client after its leave: the client would be present until its timeout."""
    other = await line(running)
    if elsewhere:
        other.writer.write(b"GET /v2/subscribe/demo/inbox/0?tt=0&uuid=ann HTTP/1.1\r\nHost: x\r\n\r\n")
        await other.answer()
    poll = socket.create_connection(("127.0.0.1", running.port))
    poll.sendall(b"GET /v2/subscribe/demo/ch,inbox/0?tt=0&uuid=ann HTTP/1.1\r\nHost: x\r\n\r\n")
    if not there:
        poll.close()
    await asyncio.sleep(0.05)
    other.writer.write(b"GET /v2/presence/sub_key/demo/channel/ch?uuid=bob HTTP/1.1\r\nHost: x\r\n\r\n")
    _, body = await other.answer()
    assert body["uuids"] == (["ann"] if there else [])  # type: ignore[index]
    poll.close()


LISTEN = "GET /v2/subscribe/demo/ch/0?uuid=ann{more}&tt={tt} HTTP/1.1\r\nHost: x\r\n\r\n"


async def heard(one: RawConnection, tt: int, more: str = "") -> tuple[int, list[object]]:
    """The status of a poll from `tt`, and its payloads."""
    one.writer.write(LISTEN.format(tt=tt, more=more).encode())
    status, body = await one.answer()
    return status, [message["d"] for message in body.get("m", [])]  # type: ignore[attr-defined]


async def published(running: Running, number: int) -> int:
    """Publish a number and return its timetoken."""
    one = await line(running)
    one.writer.write(PUBLISH % number)
    _, body = await one.answer()
    one.writer.close()
    return int(body[2])  # type: ignore[index]


async def test_a_repeated_poll_continues_from_its_own_cursor(running: Running) -> None:
    """The lane recognizes the request and parses only its cursor."""
    one = await line(running)
    times = [await published(running, number) for number in range(3)]
    for tt, expected in [(1, [0, 1, 2]), (times[0], [1, 2]), (times[1], [2]), (1, [0, 1, 2])]:
        assert await heard(one, tt) == (200, expected)
    assert await heard(one, 10**30) == (400, [])
    other = "&filter-expr=1%3D%3D2"
    assert await heard(one, 0, other) == (200, [])
    assert await heard(one, times[1]) == (200, [2])


async def test_a_repeated_poll_is_rejected_once_its_token_has_expired(running: Running) -> None:
    """Rights are checked for each poll, also for a repeated one."""
    keyset = running.origin.keysets["demo"]
    keyset.settings.access_manager = True
    now = running.origin.clock.now
    token = encode(Claims(int(now), 1, {"chan": {"ch": Right.READ}}, {}, uuid="ann"), keyset.secret_key)
    keyset.publish(Envelope(channel="ch", payload=7))
    one = await line(running)
    for _ in range(2):
        assert await heard(one, 1, f"&auth={token}") == (200, [7])
    keyset.access.revoke(token, keyset.secret_key, now)
    assert (await heard(one, 1, f"&auth={token}"))[0] == 403
    keyset.access.revoked.clear()
    assert (await heard(one, 1, f"&auth={token}"))[0] == 200
    running.origin.clock.advance(61)
    assert (await heard(one, 1, f"&auth={token}"))[0] == 403


async def test_a_repeated_poll_meets_a_fault_that_was_set_in_between(running: Running) -> None:
    """Recognized requests do not bypass faults."""
    one = await line(running)
    await published(running, 1)
    for _ in range(2):
        assert await heard(one, 1) == (200, [1])
    running.origin.keysets["demo"].faults.rules.append(Fault(kind="status", prefix="/v2/subscribe/"))
    assert (await heard(one, 1))[0] == 503


async def test_a_poll_of_a_group_is_read_anew_each_time(running: Running) -> None:
    """The group's channels may have changed."""
    keyset = running.origin.keysets["demo"]
    await published(running, 1)
    one = await line(running)
    assert (await heard(one, 0, "&channel-group=g"))[0] == 200
    keyset.groups.add("g", ["other"])
    keyset.publish(Envelope(channel="other", payload=2))
    for _ in range(2):
        assert await heard(one, 1, "&channel-group=g") == (200, [1, 2])
    assert "other" in keyset.presence.where("ann")


async def test_a_poll_that_names_two_cursors_means_the_last(running: Running) -> None:
    """As any parameter that is repeated."""
    times = [await published(running, number) for number in range(3)]
    one = await line(running)
    for first in (times[1], times[1], 1):
        assert await heard(one, times[0], f"&tt={first}") == (200, [1, 2])
