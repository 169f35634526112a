"""Load shedding over HTTP: excess requests are rejected at once, slow clients are cut, probes always respond."""

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
    """Responds when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.may_respond = asyncio.Event()

    async def sync(self, user: str) -> model.SyncView:
        self._called("sync", user)
        await self.may_respond.wait()
        return model.SyncView(online_friends=[], total_friends=0, ts=0)


@pytest.fixture
def slow() -> Slow:
    """The use case that the routes wait for."""
    return Slow()


@pytest.fixture
async def api(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Two slots, and no wait queue."""
    monkeypatch.setattr("graph_service.api.concurrency_limits.MAX_QUEUED_REQUESTS", 0)
    monkeypatch.setattr("graph_service.api.app.MAX_BODY_BYTES", 2000)
    settings = options(max_concurrent_requests=2)
    async with serving(settings, StandInParts(slow)) as served:
        yield served


@pytest.fixture
async def short_timeouts(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """The same with short timeouts for headers, bodies and readers."""
    monkeypatch.setattr("graph_service.api.connection.HEADER_TIMEOUT_SECONDS", 0.8)
    for module in ("connection", "concurrency_limits"):
        monkeypatch.setattr(f"graph_service.api.{module}.BODY_TIMEOUT_SECONDS", 0.8)
    settings = options(max_concurrent_requests=2)
    async with serving(settings, StandInParts(slow)) as served:
        yield served


@contextmanager
def counted(name: str, **labels: str) -> Iterator[None]:
    """A counter increases while the block runs."""
    before = REGISTRY.get_sample_value(name, labels) or 0
    yield
    assert (REGISTRY.get_sample_value(name, labels) or 0) > before


async def connection(api: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection."""
    host, port = api.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_one_request_too_many_is_rejected_at_once_and_the_others_are_served(
    api: Served, slow: Slow
) -> None:
    """503 with Retry-After, before any use case is called; probes are served throughout."""
    waiting = [asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann"))) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(slow.calls) < 2:  # noqa: ASYNC110 - a list sets no event
            await asyncio.sleep(0.01)
    with counted("friends_http_shed_total", limit="api", full="places"):
        status, body, headers = await api.call("GET", "/v1/sync", headers=api.bearer("ann"))
    assert (status, body["code"]) == (503, "overloaded")
    assert 1 <= int(headers["Retry-After"]) == body["retryAfter"] <= 3
    assert len(slow.calls) == 2
    for probe in ("/livez", "/readyz", "/metrics"):
        assert (await api.call("GET", probe))[0] == 200
    slow.may_respond.set()
    assert [(await one)[0] for one in waiting] == [200, 200]
    assert (await api.call("GET", "/v1/sync", headers=api.bearer("ann")))[0] == 200


async def test_a_request_waits_for_a_slot_and_is_rejected_where_the_queue_is_full(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slot and a queue of one: of three requests one is rejected at once."""
    monkeypatch.setattr("graph_service.api.concurrency_limits.MAX_QUEUED_REQUESTS", 1)
    settings = options(max_concurrent_requests=1, target_latency_seconds=10)
    async with serving(settings, StandInParts(slow)) as api:
        calls = [
            asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann"))) for _ in range(3)
        ]
        first, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert [(one.result()[0], one.result()[1]["code"]) for one in first] == [(503, "overloaded")]
        slow.may_respond.set()
        assert sorted([(await one)[0] for one in calls]) == [200, 200, 503]
        assert len(slow.calls) == 2


async def test_a_client_that_disconnects_releases_its_slot(api: Served, slow: Slow) -> None:
    """However often."""
    for _ in range(5):
        call = asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann")))
        before = len(slow.calls)
        async with asyncio.timeout(5):
            while len(slow.calls) == before and not call.done():  # noqa: ASYNC110 - a list sets no event
                await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        slow.may_respond.set()
        await asyncio.sleep(0)
        slow.may_respond.clear()
    slow.may_respond.set()

    async with asyncio.timeout(5):
        while (await api.call("GET", "/v1/sync", headers=api.bearer("ann")))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_slow_headers_are_cut_though_each_byte_arrives_in_time(short_timeouts: Served) -> None:
    """A byte every twentieth of a second would otherwise occupy a connection without end; so would no byte at all."""
    for sent in (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Drip: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b""):
        reader, writer = await connection(short_timeouts)
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


async def test_a_second_request_on_a_connection_may_come_late_but_not_slowly(short_timeouts: Served) -> None:
    """Between two requests a connection may be idle."""
    reader, writer = await connection(short_timeouts)
    ask = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    writer.write(ask)
    await asyncio.wait_for(reader.readuntil(b"}"), 5)
    await asyncio.sleep(1.2)
    writer.write(ask)
    await asyncio.wait_for(reader.readuntil(b"}"), 5)
    writer.write(ask[:-2])
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_slow_bodies_take_no_slot_and_are_cut(short_timeouts: Served, slow: Slow) -> None:
    """More of them than there are slots; each gets 408."""
    slow.may_respond.set()
    head = (
        b"PUT /v1/users/ann HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        b"X-Service-Key: " + short_timeouts.service["X-Service-Key"].encode() + b"\r\n\r\n{"
    )
    dripping = [await connection(short_timeouts) for _ in range(3)]
    for _, writer in dripping:
        writer.write(head)
    await asyncio.sleep(0.1)
    assert (await short_timeouts.call("GET", "/v1/sync", headers=short_timeouts.bearer("ann")))[0] == 200
    for reader, writer in dripping:
        response = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert b" 408 " in response.split(b"\r\n")[0]
        assert json.loads(response.partition(b"\r\n\r\n")[2])["code"] == "body_too_slow"
        writer.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends such connections")
async def test_a_client_that_does_not_read_its_responses_is_cut(short_timeouts: Served) -> None:
    """Responses to many requests at once, more than the kernel buffers."""
    host, port = short_timeouts.url.removeprefix("http://").split(":")
    unread = socket.socket()
    unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    unread.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(unread, (host, int(port)))
    asking = asyncio.create_task(
        loop.sock_sendall(unread, b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
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
        unread.close()


async def test_a_body_with_too_large_a_content_length_is_rejected_unread(api: Served) -> None:
    """By its Content-Length, before any of it was sent."""
    reader, writer = await connection(api)
    writer.write(
        b"PUT /v1/users/ann HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n"
        b"X-Service-Key: " + api.service["X-Service-Key"].encode() + b"\r\n\r\n"
    )
    response = await asyncio.wait_for(reader.readuntil(b"}"), 5)
    assert b" 413 " in response.split(b"\r\n")[0]
    writer.close()


async def test_one_connection_too_many_gets_503_with_retry_after() -> None:
    """It does not affect those that are open; one that closes makes room for another."""
    async with serving(options(max_connections=6), StandInParts()) as api:
        await one_too_many(api)


async def one_too_many(api: Served) -> None:
    """Six are open, the seventh is refused."""
    held = [await connection(api) for _ in range(6)]
    with counted("friends_http_connections_cut_total", reason="too many"):
        reader, writer = await connection(api)
        response = await asyncio.wait_for(reader.read(), 5)
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in response
    writer.close()
    held[0][1].write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 200 " in await asyncio.wait_for(held[0][0].readuntil(b"}"), 5)
    for _, one in held:
        one.close()
    async with asyncio.timeout(5):
        while (await api.call("GET", "/livez"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_requests_under_one_concurrency_limit_take_no_slot_of_another(api: Served, slow: Slow) -> None:
    """Users' requests wait here, and the product's back end is still served."""
    waiting = [asyncio.create_task(api.call("GET", "/v1/sync", headers=api.bearer("ann"))) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(slow.calls) < 2:  # noqa: ASYNC110 - a list sets no event
            await asyncio.sleep(0.01)
    assert (await api.code("GET", "/v1/sync", headers=api.bearer("ann"))) == (503, "overloaded")
    asked = {"json": {"ids": ["ann"]}, "headers": api.service}
    assert (await api.call("POST", "/v1/presence:query", **asked))[0] == 200
    slow.may_respond.set()
    await asyncio.gather(*waiting)
