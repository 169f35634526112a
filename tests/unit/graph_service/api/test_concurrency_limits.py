"""More is asked than can be done: who is sent away is told at once, slow senders are cut, probes always answer."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import REGISTRY

from graph_service.model import model
from tests.support.serving import Served, options, serving
from tests.support.standins import StandIn, StandInParts


class Slow(StandIn):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def sync(self, user: str) -> model.SyncView:
        """Waits."""
        self._called("sync", user)
        await self.answer.wait()
        return model.SyncView(online_friends=[], total_friends=0, ts=0)


@pytest.fixture
def slow() -> Slow:
    """What the routes wait for."""
    return Slow()


@pytest.fixture
async def api(slow: Slow) -> AsyncIterator[Served]:
    """Two places, and no line."""
    settings = options(max_concurrent_requests=2, max_queued_requests=0, max_body_bytes=2000)
    async with serving(settings, StandInParts(slow)) as served:
        yield served


@pytest.fixture
async def impatient(slow: Slow) -> AsyncIterator[Served]:
    """The same with little time to ask, and to take what is answered."""
    settings = options(max_concurrent_requests=2, header_timeout_seconds=0.8, body_timeout_seconds=0.8)
    async with serving(settings, StandInParts(slow)) as served:
        yield served


@contextmanager
def counted(name: str, **labels: str) -> Iterator[None]:
    """Something is counted while the block runs."""
    before = REGISTRY.get_sample_value(name, labels) or 0
    yield
    assert (REGISTRY.get_sample_value(name, labels) or 0) > before


async def connection(api: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection."""
    host, port = api.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_one_call_too_many_is_sent_away_at_once_and_the_others_are_answered(
    api: Served, slow: Slow
) -> None:
    """503, when to come back, before anything behind the edge is asked; probes are answered all the while."""
    waiting = [asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann"))) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(slow.calls) < 2:  # noqa: ASYNC110 - a list sets no event
            await asyncio.sleep(0.01)
    with counted("friends_http_shed_total", room="api", full="places"):
        status, body, headers = await api.call("GET", "/v1/sync", headers=api.bearer("ann"))
    assert (status, body["code"]) == (503, "overloaded")
    assert 1 <= int(headers["Retry-After"]) == body["retryAfter"] <= 3
    assert len(slow.calls) == 2
    for probe in ("/livez", "/readyz", "/metrics"):
        assert (await api.call("GET", probe))[0] == 200
    slow.answer.set()
    assert [(await one)[0] for one in waiting] == [200, 200]
    assert (await api.call("GET", "/v1/sync", headers=api.bearer("ann")))[0] == 200


async def test_who_finds_no_place_waits_for_one_and_who_finds_the_line_full_is_sent_away(slow: Slow) -> None:
    """One place, and a line of one: of three, one is told at once to come back."""
    settings = options(max_concurrent_requests=1, max_queued_requests=1, target_latency_seconds=10)
    async with serving(settings, StandInParts(slow)) as api:
        calls = [
            asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann"))) for _ in range(3)
        ]
        first, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert [(one.result()[0], one.result()[1]["code"]) for one in first] == [(503, "overloaded")]
        slow.answer.set()
        assert sorted([(await one)[0] for one in calls]) == [200, 200, 503]
        assert len(slow.calls) == 2


async def test_a_client_that_goes_away_leaves_its_place(api: Served, slow: Slow) -> None:
    """However often."""
    for _ in range(5):
        call = asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann")))
        seen = len(slow.calls)
        async with asyncio.timeout(5):
            while len(slow.calls) == seen and not call.done():  # noqa: ASYNC110 - a list sets no event
                await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        slow.answer.set()
        await asyncio.sleep(0)
        slow.answer.clear()
    slow.answer.set()

    async with asyncio.timeout(5):
        while (await api.call("GET", "/v1/sync", headers=api.bearer("ann")))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_headers_that_drip_are_cut_though_each_byte_is_in_time(impatient: Served) -> None:
    """A byte every twentieth of a second would otherwise hold a connection for ever; so would no byte at all."""
    for sent in (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Drip: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b""):
        reader, writer = await connection(impatient)
        drip = asyncio.create_task(dripped(writer, sent))
        with counted("friends_http_connections_cut_total", reason="slow headers"):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        drip.cancel()
        writer.close()


async def dripped(writer: asyncio.StreamWriter, sent: bytes) -> None:
    """One byte after the other."""
    for byte in sent:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def test_a_second_request_of_a_kept_connection_may_come_late_but_not_drip(impatient: Served) -> None:
    """Between two requests a connection may rest."""
    reader, writer = await connection(impatient)
    ask = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    writer.write(ask)
    await asyncio.wait_for(reader.readuntil(b"}"), 5)
    await asyncio.sleep(1.2)
    writer.write(ask)
    await asyncio.wait_for(reader.readuntil(b"}"), 5)
    writer.write(ask[:-2])
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_bodies_that_drip_keep_nobody_out_and_are_cut(impatient: Served, slow: Slow) -> None:
    """More of them than there are places; each is told that it was too slow."""
    slow.answer.set()
    head = (
        b"PUT /v1/users/ann HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        b"X-Service-Key: " + impatient.service["X-Service-Key"].encode() + b"\r\n\r\n{"
    )
    dripping = [await connection(impatient) for _ in range(3)]
    for _, writer in dripping:
        writer.write(head)
    await asyncio.sleep(0.1)
    assert (await impatient.call("GET", "/v1/sync", headers=impatient.bearer("ann")))[0] == 200
    for reader, writer in dripping:
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert b" 408 " in answer.split(b"\r\n")[0]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "body_too_slow"
        writer.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends such connections")
async def test_a_client_that_takes_nothing_of_what_it_is_sent_is_cut(impatient: Served) -> None:
    """Answers of many questions at once, more than the kernel keeps for it."""
    host, port = impatient.url.removeprefix("http://").split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, (host, int(port)))
    asking = asyncio.create_task(
        loop.sock_sendall(deaf, b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
    )
    try:
        with counted("friends_http_connections_cut_total", reason="slow reader"):
            async with asyncio.timeout(20):
                while not REGISTRY.get_sample_value(  # noqa: ASYNC110 - a counter sets no event
                    "friends_http_connections_cut_total", {"reason": "slow reader"}
                ):
                    await asyncio.sleep(0.05)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        deaf.close()


async def test_a_body_that_says_it_is_too_large_is_refused_unread(api: Served) -> None:
    """By its Content-Length, before any of it was sent."""
    reader, writer = await connection(api)
    writer.write(
        b"PUT /v1/users/ann HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n"
        b"X-Service-Key: " + api.service["X-Service-Key"].encode() + b"\r\n\r\n"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
    assert b" 413 " in answer.split(b"\r\n")[0]
    writer.close()


async def test_one_connection_too_many_is_told_to_come_back() -> None:
    """And takes nothing away from those that are open; one that ends makes room."""
    async with serving(options(max_connections=6), StandInParts()) as api:
        await one_too_many(api)


async def one_too_many(api: Served) -> None:
    """Six are held, the seventh is told."""
    held = [await connection(api) for _ in range(6)]
    with counted("friends_http_connections_cut_total", reason="too many"):
        reader, writer = await connection(api)
        answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in answer
    writer.close()
    held[0][1].write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 200 " in await asyncio.wait_for(held[0][0].readuntil(b"}"), 5)
    for _, one in held:
        one.close()
    async with asyncio.timeout(5):
        while (await api.call("GET", "/livez"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_who_waits_in_one_room_takes_no_place_in_another(api: Served, slow: Slow) -> None:
    """Users' calls wait for an engine here, and the product's back end is answered all the same."""
    waiting = [asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann"))) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(slow.calls) < 2:  # noqa: ASYNC110 - a list sets no event
            await asyncio.sleep(0.01)
    assert (await api.code("GET", "/v1/sync", headers=api.bearer("ann"))) == (503, "overloaded")
    asked = {"json": {"ids": ["ann"]}, "headers": api.service}
    assert (await api.call("POST", "/v1/presence:query", **asked))[0] == 200
    slow.answer.set()
    await asyncio.gather(*waiting)
