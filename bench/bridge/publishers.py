"""Four publishing clients, one measured in each process: ``python -m bench.bridge.publishers`` prints its figures as JSON.

All clients run with the same number of concurrent publishes. Over TLS the sink's certificate is trusted through
SSL_CERT_FILE, which all four read.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import aiohttp
import typer
import uvloop
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler
from pubnub.request_handlers.async_httpx import AsyncHttpxRequestHandler

from pubnub_bridge.model import encoding
from pubnub_bridge.pubnub_api.publish_client import MAX_PIPELINED_PUBLISHES, SENT, Keyset, PublishClient

MESSAGE_COUNT = 2000
WARM_UP_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class Message:
    """One friend.online for one inbox, encoded and as a value: clients take either."""

    channel: str
    body: bytes
    value: Any


@dataclass(frozen=True, slots=True)
class Sink:
    """Where to publish. The port is on this machine."""

    port: int
    tls: bool

    @property
    def origin(self) -> str:
        """host:port, with the host name of the certificate over TLS."""
        return f"localhost:{self.port}" if self.tls else f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one client."""

    publishes: int
    rate: float
    """Acked publishes a second."""
    cpu_ms: float
    """CPU milliseconds of the client's process for 1,000 publishes."""
    p50: float
    """Milliseconds from the call to its response."""
    p99: float
    busy: float
    """Share of one core that the client's process used."""


Publish = Callable[[Message], Awaitable[bool]]
"""Publishes one message. Returns whether it was accepted."""


def messages(number: int = MESSAGE_COUNT) -> list[Message]:
    """The messages of every client."""
    made = []
    for at in range(number):
        stamp = 1_764_000_000_000 + at
        body = encoding.online(f"u{at:07d}", "Ann Example", stamp, stamp * 1000)
        made.append(Message(f"inbox.u{number - at:07d}", body, json.loads(body)))
    return made


@asynccontextmanager
async def ours(sink: Sink) -> AsyncIterator[Publish]:
    """The bridge's publish client with its default pipeline depth."""
    depth = MAX_PIPELINED_PUBLISHES
    pool = PublishClient(
        keyset=Keyset(origin=sink.origin, subscribe_key="demo", publish_key="demo", tls=sink.tls),
        token=lambda: None,
        pipeline_depth=depth,
    )

    async def publish(message: Message) -> bool:
        return await pool.post(message.channel, message.body) is SENT

    yield publish
    pool.connections.close()


@asynccontextmanager
async def plain(sink: Sink) -> AsyncIterator[Publish]:
    """aiohttp's client, used directly."""
    base = f"{'https' if sink.tls else 'http'}://{sink.origin}/publish/demo/demo/0/"
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def publish(message: Message) -> bool:
            url = f"{base}{message.channel}/0?uuid=friends-presence&store=0"
            async with session.post(url, data=message.body) as response:
                return response.status == 200 and (await response.read()).startswith(b"[1")

        yield publish


@asynccontextmanager
async def sdk(sink: Sink, handler: Any) -> AsyncIterator[Publish]:
    """The official SDK, as its documentation shows it."""
    config = PNConfiguration()
    config.subscribe_key = config.publish_key = "demo"
    config.user_id = "friends-presence"
    config.origin, config.ssl = sink.origin, sink.tls
    config.enable_subscribe = False
    client = PubNubAsyncio(config, custom_request_handler=handler)

    async def publish(message: Message) -> bool:
        call = client.publish().channel(message.channel).message(message.value).should_store(False)
        return not (await call.future()).status.is_error()

    yield publish
    with suppress(Exception):  # a client that cannot close has been measured nevertheless
        await client.stop()


CLIENTS: dict[str, Callable[[Sink], Any]] = {
    "SDK, httpx": lambda sink: sdk(sink, AsyncHttpxRequestHandler),
    "SDK, aiohttp": lambda sink: sdk(sink, AsyncAiohttpRequestHandler),
    "aiohttp": plain,
    "ours": ours,
}


@dataclass(slots=True)
class Counters:
    """Counters of all callers."""

    took: array[float]
    failed: int = 0
    over: bool = False
    """Ends the callers. They are not cancelled, since the SDK swallows a cancellation."""


async def measured(way: str, sink: Sink, in_flight: int, seconds: float) -> Figures:
    """Publish as fast as possible, `in_flight` at a time."""
    async with CLIENTS[way](sink) as publish:
        counters, queue = Counters(array("d")), itertools.cycle(messages())
        callers = [asyncio.create_task(_caller(publish, queue, counters)) for _ in range(in_flight)]
        await asyncio.sleep(WARM_UP_SECONDS)
        del counters.took[:]
        began, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        took, cpu = time.perf_counter() - began, time.process_time() - used
        done, failed = sorted(counters.took), counters.failed
        counters.over = True
        await asyncio.gather(*callers)
    if failed or not done:
        raise RuntimeError(f"{way}: {failed} publishes failed, {len(done)} were sent")
    p50, p99 = (done[int(len(done) * share)] * 1000 for share in (0.5, 0.99))
    return Figures(len(done), len(done) / took, 1e6 * cpu / len(done), p50, p99, cpu / took)


async def _caller(publish: Publish, queue: Iterator[Message], counters: Counters) -> None:
    clock = time.perf_counter
    while not counters.over:
        message, began = next(queue), clock()
        if not await publish(message):
            counters.failed += 1
        counters.took.append(clock() - began)


def main(
    way: Annotated[str, typer.Option(help="Which client.")],
    port: Annotated[int, typer.Option(help="Port of the sink, on this machine.")],
    tls: Annotated[bool, typer.Option(help="Publish over TLS.")] = False,
    in_flight: Annotated[int, typer.Option(help="Concurrent publishes.")] = 100,
    seconds: Annotated[float, typer.Option(help="Seconds after the warm-up.")] = 3.0,
    loop: Annotated[str, typer.Option(help="uvloop or asyncio.")] = "uvloop",
) -> None:
    """Measure one client and print the figures as JSON."""
    run = uvloop.run if loop == "uvloop" else asyncio.run
    print(json.dumps(asdict(run(measured(way, Sink(port, tls), in_flight, seconds)))))


if __name__ == "__main__":
    typer.run(main)
