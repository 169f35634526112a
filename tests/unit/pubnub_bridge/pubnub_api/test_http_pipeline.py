"""Pipelined connections against a real socket: order of responses, connections that end, calls that take too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pubnub_bridge.pubnub_api import http_pipeline
from pubnub_bridge.pubnub_api.http_pipeline import (
    MAX_RESPONSE_BYTES,
    ConnectionPool,
    InvalidResponse,
    NoResponse,
    ResponseTimeout,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Respond = Callable[[bytes, asyncio.StreamWriter], None]


@asynccontextmanager
async def server(respond: Respond) -> AsyncIterator[tuple[str, int]]:
    """Calls `respond` for each request, which is one line."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            respond(line.strip(), writer)
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[:2]
    finally:
        listening.close()


async def test_many_calls_share_a_connection_and_get_their_own_responses() -> None:
    """Sixteen at a time on each."""
    connections = set()

    def respond(line: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(id(writer))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(line), line))

    async with server(respond) as address:
        pool = ConnectionPool(address=address, tls=None, depth=16)
        await pool.call(b"first\n")
        responses = await asyncio.gather(*(pool.call(b"%d\n" % number) for number in range(100)))
        assert [one.body for one in responses] == [b"%d" % number for number in range(100)]
        before = len(connections)
        await asyncio.gather(*(pool.call(b"x\n") for _ in range(16)))
        assert len(connections) == before
        pool.close()


async def test_a_connection_closed_while_idle_is_replaced() -> None:
    """No response had begun, so the call is repeated."""

    def respond(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        if line == b"last":
            writer.close()

    async with server(respond) as address:
        pool = ConnectionPool(address=address, tls=None, depth=4)
        assert (await pool.call(b"last\n")).body == b"ok"
        await asyncio.sleep(0.02)
        assert (await pool.call(b"next\n")).body == b"ok"
        pool.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde",
    ],
)
@pytest.mark.parametrize("piece", [1, 1000])
async def test_every_kind_of_body_is_read(sent: bytes, piece: int) -> None:
    """In one piece or byte by byte."""
    tasks = []

    async def trickle(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(sent), piece):
            writer.write(sent[start : start + piece])
            await asyncio.sleep(0)

    async with server(lambda _, writer: tasks.append(asyncio.ensure_future(trickle(writer)))) as address:
        pool = ConnectionPool(address=address, tls=None)
        assert (await pool.call(b"x\n")).body == b"abcde"
        pool.close()


async def test_a_body_may_end_with_its_connection() -> None:
    """Where it has no length."""

    def respond(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nabc")
        writer.close()

    async with server(respond) as address:
        assert (await ConnectionPool(address=address, tls=None).call(b"x\n")).body == b"abc"


async def test_a_response_that_ends_early_fails_all_calls_in_flight() -> None:

    def respond(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        writer.close()

    async with server(respond) as address:
        pool = ConnectionPool(address=address, tls=None, depth=8)
        responses = await asyncio.gather(*(pool.call(b"x\n") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(one, NoResponse) for one in responses)


async def test_what_is_no_http_is_reported_as_such() -> None:
    """From a captive portal, for example."""
    async with server(lambda _, writer: writer.write(b"SSH-2.0-x\r\n\r\n")) as address:
        with pytest.raises(InvalidResponse):
            await ConnectionPool(address=address, tls=None).call(b"x\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_a_head_or_a_chunk_that_makes_no_sense_fails_the_call(sent: bytes) -> None:
    async with server(lambda _, writer: writer.write(sent)) as address:
        with pytest.raises(InvalidResponse):
            await ConnectionPool(address=address, tls=None).call(b"x\n")


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ],
)
async def test_a_response_without_an_end_is_refused_at_the_maximum_size(start: bytes) -> None:
    """In its head, in its body or in a chunk."""
    async with server(lambda _, writer: writer.write(start + b"x" * (2 * MAX_RESPONSE_BYTES))) as address:
        with pytest.raises(InvalidResponse, match="too large"):
            await ConnectionPool(address=address, tls=None).call(b"x\n")


async def test_a_silent_server_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pipeline, "REQUEST_TIMEOUT_SECONDS", 0.01)
    async with server(lambda _line, _writer: None) as address:
        pool = ConnectionPool(address=address, tls=None, depth=4)
        watch = asyncio.create_task(pool.watch())
        monkeypatch.setattr(http_pipeline, "REQUEST_TIMEOUT_SECONDS", 0.2)
        with pytest.raises(ResponseTimeout):
            await pool.call(b"x\n")
        watch.cancel()


async def test_a_refused_connection_is_an_error_of_the_system() -> None:
    """The caller publishes later."""
    with pytest.raises(OSError, match=r"refused|Connect"):
        await ConnectionPool(address=("127.0.0.1", 1), tls=None).call(b"x\n")


async def test_responses_with_different_heads_are_each_parsed_by_their_own() -> None:
    """A head that repeats is parsed once; one that differs is parsed again, in one read with the others or not."""
    bodies = [b"ok", b"ok", b"longer", b"ok"]

    def respond(_: bytes, writer: asyncio.StreamWriter) -> None:
        body = bodies[len(sent)]
        sent.append(body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    sent: list[bytes] = []
    async with server(respond) as address:
        pool = ConnectionPool(address=address, tls=None, depth=4)
        first = await pool.call(b"x\n")
        rest = await asyncio.gather(*(pool.call(b"x\n") for _ in range(3)))
        assert [one.body for one in (first, *rest)] == bodies
        pool.close()


async def test_a_response_without_a_request_is_not_given_to_the_next_call() -> None:
    """Its connection is closed, and the next call opens another."""
    first = asyncio.Event()

    def respond(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if line == b"next" else OK + OK.replace(b"ok", b"no"))
        first.set()

    async with server(respond) as address:
        pool = ConnectionPool(address=address, tls=None, depth=4)
        await pool.call(b"first\n")
        assert (await pool.call(b"next\n")).body == b"ok"
        pool.close()


async def test_a_cancelled_call_leaves_the_order_of_responses_as_it_was() -> None:
    """Its response still takes its place, and only then is there room again."""
    received: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    def response(body: bytes) -> bytes:
        return OK.replace(b"ok", body)

    async with server(lambda _line, writer: received.put_nowait(writer)) as address, asyncio.timeout(10):
        pool = ConnectionPool(address=address, tls=None, depth=2)
        calls = [asyncio.create_task(pool.call(b"first\n"))]
        (await received.get()).write(response(b".."))
        await calls.pop()
        calls = [asyncio.create_task(pool.call(b"a\n")), asyncio.create_task(pool.call(b"b\n"))]
        one, same = await received.get(), await received.get()
        calls[0].cancel()
        third = asyncio.create_task(pool.call(b"c\n"))
        other = await received.get()
        assert one is same
        assert other is not one
        one.write(response(b"aa") + response(b"bb"))
        other.write(response(b"cc"))
        assert ((await calls[1]).body, (await third).body) == (b"bb", b"cc")
        pool.close()
