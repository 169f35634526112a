"""Kept connections against a real socket: answers in their order, connections that end, calls that take too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pubnub_bridge.pubnub_api import http_pipeline
from pubnub_bridge.pubnub_api.http_pipeline import ConnectionPool, NoResponse, TooLate, Unreadable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[bytes, asyncio.StreamWriter], None]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[str, int]]:
    """Calls `answer` for each request, which is one line."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer(line.strip(), writer)
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[:2]
    finally:
        listening.close()


async def test_many_calls_share_a_connection_and_get_their_own_answers() -> None:
    """Sixteen at a time on each."""
    connections = set()

    def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(id(writer))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(line), line))

    async with server(answer) as address:
        kept = ConnectionPool(address, None, 16)
        await kept.call(b"first\n")
        found = await asyncio.gather(*(kept.call(b"%d\n" % number) for number in range(100)))
        assert [one.body for one in found] == [b"%d" % number for number in range(100)]
        again = len(connections)
        await asyncio.gather(*(kept.call(b"x\n") for _ in range(16)))
        assert len(connections) == again
        kept.close()


async def test_a_connection_closed_while_idle_is_replaced() -> None:
    """The call never began, so it is made again."""

    def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        if line == b"last":
            writer.close()

    async with server(answer) as address:
        kept = ConnectionPool(address, None, 4)
        assert (await kept.call(b"last\n")).body == b"ok"
        await asyncio.sleep(0.02)
        assert (await kept.call(b"next\n")).body == b"ok"
        kept.close()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde",
    ],
)
@pytest.mark.parametrize("piece", [1, 1000])
async def test_every_kind_of_body_is_read(said: bytes, piece: int) -> None:
    """In one piece, or byte by byte."""
    tasks = []

    async def trickle(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(said), piece):
            writer.write(said[start : start + piece])
            await asyncio.sleep(0)

    async with server(lambda _, writer: tasks.append(asyncio.ensure_future(trickle(writer)))) as address:
        kept = ConnectionPool(address, None)
        assert (await kept.call(b"x\n")).body == b"abcde"
        kept.close()


async def test_a_body_may_end_with_its_connection() -> None:
    """Without a length that is how it ends."""

    def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nabc")
        writer.close()

    async with server(answer) as address:
        assert (await ConnectionPool(address, None).call(b"x\n")).body == b"abc"


async def test_half_an_answer_is_none() -> None:
    """All calls under way on the connection fail."""

    def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        writer.close()

    async with server(answer) as address:
        kept = ConnectionPool(address, None, 8)
        found = await asyncio.gather(*(kept.call(b"x\n") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(one, NoResponse) for one in found)


async def test_what_is_no_http_is_told_as_such() -> None:
    """A captive portal, say."""
    async with server(lambda _, writer: writer.write(b"SSH-2.0-x\r\n\r\n")) as address:
        with pytest.raises(Unreadable):
            await ConnectionPool(address, None).call(b"x\n")


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time-out, by the watch."""
    monkeypatch.setattr(http_pipeline, "REQUEST_TIMEOUT_SECONDS", 0.01)
    async with server(lambda _line, _writer: None) as address:
        kept = ConnectionPool(address, None, 4)
        watch = asyncio.create_task(kept.watch())
        monkeypatch.setattr(http_pipeline, "REQUEST_TIMEOUT_SECONDS", 0.2)
        with pytest.raises(TooLate):
            await kept.call(b"x\n")
        watch.cancel()


async def test_nobody_listening_is_an_error_of_the_system() -> None:
    """Which the caller takes for: later."""
    with pytest.raises(OSError, match=r"refused|Connect"):
        await ConnectionPool(("127.0.0.1", 1), None).call(b"x\n")


async def test_answers_whose_heads_differ_are_each_read_by_their_own() -> None:
    """Heads that repeat are read once; one that does not is read anew, in one piece with the others or not."""
    bodies = [b"ok", b"ok", b"longer", b"ok"]

    def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        body = bodies[len(asked)]
        asked.append(body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    asked: list[bytes] = []
    async with server(answer) as address:
        kept = ConnectionPool(address, None, 4)
        first = await kept.call(b"x\n")
        rest = await asyncio.gather(*(kept.call(b"x\n") for _ in range(3)))
        assert [one.body for one in (first, *rest)] == bodies
        kept.close()


async def test_an_answer_nobody_asked_for_is_no_answer_to_the_next_call() -> None:
    """Its connection is given up, and the next call has another."""
    first = asyncio.Event()

    def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if line == b"next" else OK + OK.replace(b"ok", b"no"))
        first.set()

    async with server(answer) as address:
        kept = ConnectionPool(address, None, 4)
        await kept.call(b"first\n")
        assert (await kept.call(b"next\n")).body == b"ok"
        kept.close()


async def test_a_caller_who_gives_up_leaves_the_order_of_answers_as_it_was() -> None:
    """The answer it no longer waits for still takes its place, and only then is there room again."""
    asked: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    def said(body: bytes) -> bytes:
        return OK.replace(b"ok", body)

    async with server(lambda _line, writer: asked.put_nowait(writer)) as address, asyncio.timeout(10):
        kept = ConnectionPool(address, None, 2)
        calls = [asyncio.create_task(kept.call(b"first\n"))]
        (await asked.get()).write(said(b".."))
        await calls.pop()
        calls = [asyncio.create_task(kept.call(b"a\n")), asyncio.create_task(kept.call(b"b\n"))]
        one, same = await asked.get(), await asked.get()
        calls[0].cancel()
        third = asyncio.create_task(kept.call(b"c\n"))
        other = await asked.get()
        assert one is same
        assert other is not one
        one.write(said(b"aa") + said(b"bb"))
        other.write(said(b"cc"))
        assert ((await calls[1]).body, (await third).body) == (b"bb", b"cc")
        kept.close()
