"""Four ways to publish, each measured in a process of its own: ``python -m bench.bridge.publishers`` prints its figures.

Knows how each client is called, with as many publishes at once for all of them; nothing of where the sink comes from.
Over TLS the sink's certificate is trusted by SSL_CERT_FILE, which all four heed.
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
from pubnub_bridge.pubnub_api.publish_client import SENT, Keyset, PublishClient
from pubnub_bridge.settings import Settings

MESSAGES = 2000
WARM_S = 0.7


@dataclass(frozen=True, slots=True)
class Message:
    """One friend.online, for one inbox, as each client wants it."""

    channel: str
    body: bytes
    value: Any


@dataclass(frozen=True, slots=True)
class Sink:
    """Where to publish."""

    port: int
    tls: bool

    @property
    def origin(self) -> str:
        """host:port, by the name in its certificate."""
        return f"localhost:{self.port}" if self.tls else f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one client did."""

    publishes: int
    rate: float
    """Acked publishes a second."""
    cpu_ms: float
    """CPU milliseconds of the client's process for 1,000 publishes."""
    p50: float
    """Milliseconds from the call to its answer."""
    p99: float
    busy: float
    """Share of one core that the client's process used."""


Publish = Callable[[Message], Awaitable[bool]]
"""Publishes one message; whether it was accepted."""


def messages(number: int = MESSAGES) -> list[Message]:
    """The same for everybody."""
    made = []
    for at in range(number):
        stamp = 1_764_000_000_000 + at
        body = encoding.online(f"u{at:07d}", "Ann Example", stamp, stamp * 1000)
        made.append(Message(f"inbox.u{number - at:07d}", body, json.loads(body)))
    return made


@asynccontextmanager
async def ours(sink: Sink) -> AsyncIterator[Publish]:
    """The bridge's pool at its default depth."""
    depth = Settings.model_fields["publish_pipeline"].default
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
            async with session.post(url, data=message.body) as answer:
                return answer.status == 200 and (await answer.read()).startswith(b"[1")

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
    with suppress(Exception):  # a client that cannot close has been measured all the same
        await client.stop()


WAYS: dict[str, Callable[[Sink], Any]] = {
    "SDK, httpx": lambda sink: sdk(sink, AsyncHttpxRequestHandler),
    "SDK, aiohttp": lambda sink: sdk(sink, AsyncAiohttpRequestHandler),
    "aiohttp": plain,
    "ours": ours,
}


@dataclass(slots=True)
class Count:
    """What the callers did since the last beginning."""

    took: array[float]
    failed: int = 0
    over: bool = False
    """Callers are told, since the SDK swallows a cancellation."""


async def measured(way: str, sink: Sink, in_flight: int, seconds: float) -> Figures:
    """Publishes as fast as the client can, `in_flight` at a time."""
    async with WAYS[way](sink) as publish:
        count, turns = Count(array("d")), itertools.cycle(messages())
        callers = [asyncio.create_task(_caller(publish, turns, count)) for _ in range(in_flight)]
        await asyncio.sleep(WARM_S)
        del count.took[:]
        began, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        took, cpu = time.perf_counter() - began, time.process_time() - used
        done, failed = sorted(count.took), count.failed
        count.over = True
        await asyncio.gather(*callers)
    if failed or not done:
        raise RuntimeError(f"{way}: {failed} publishes failed, {len(done)} went out")
    p50, p99 = (done[int(len(done) * share)] * 1000 for share in (0.5, 0.99))
    return Figures(len(done), len(done) / took, 1e6 * cpu / len(done), p50, p99, cpu / took)


async def _caller(publish: Publish, turns: Iterator[Message], count: Count) -> None:
    clock = time.perf_counter
    while not count.over:
        message, began = next(turns), clock()
        if not await publish(message):
            count.failed += 1
        count.took.append(clock() - began)


def main(
    way: Annotated[str, typer.Option(help="Which client.")],
    port: Annotated[int, typer.Option(help="Of the sink, on this machine.")],
    tls: Annotated[bool, typer.Option(help="Whether the sink speaks TLS.")] = False,
    in_flight: Annotated[int, typer.Option(help="Publishes at once.")] = 100,
    seconds: Annotated[float, typer.Option(help="How long, after the warm-up.")] = 3.0,
    loop: Annotated[str, typer.Option(help="uvloop or asyncio.")] = "uvloop",
) -> None:
    """Measures one client and prints the figures as JSON."""
    run = uvloop.run if loop == "uvloop" else asyncio.run
    print(json.dumps(asdict(run(measured(way, Sink(port, tls), in_flight, seconds)))))


if __name__ == "__main__":
    typer.run(main)
