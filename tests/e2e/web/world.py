"""One stack and one browser, with the words that the tests of pages are written in. Knows addresses and elements."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
from playwright.async_api import Browser, BrowserContext, Page, expect
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler

from graph_service.friends.users import UserProfile, Users
from graph_service.graph.driver import Graph
from graph_service.model.sharding import ShardMap
from local_stack.engines.server import Server
from local_stack.stack.up import Stack

PATIENCE = 20_000
"""Milliseconds until something that must happen counts as not happening; the machine may be busy."""
OFFLINE_NOISE = ("net::ERR_", "Failed to load resource")
"""What Chromium itself says when a server is away."""
_names = itertools.count()
expect.set_options(timeout=PATIENCE)

STILL = """() => Promise.allSettled(
  document.getAnimations().filter((a) => a.effect.getComputedTiming().endTime !== Infinity).map((a) => a.finished))"""
"""Waits until nothing moves: what fades in has less contrast on its way."""


@dataclass
class Window:
    """One browser window of one person, with everything its page complained of."""

    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()
    """Parts of complaints that the test expects."""

    def row(self, user: str, presence: str | None = None) -> Any:
        """A friend's row, where wanted only if shown so."""
        state = f'[data-presence="{presence}"]' if presence else ""
        return self.page.locator(f'#rows [data-id="{user}"]{state}')

    async def sees(self, user: str, presence: str) -> None:
        """Waits until a friend is shown so."""
        await expect(self.row(user, presence)).to_have_count(1)

    async def connected(self) -> None:
        """Waits until the connection's words say so."""
        await expect(self.page.locator("#link[data-state=connected]")).to_be_visible()

    async def close(self) -> None:
        """As a person closes it; then the page must not have complained."""
        await self.context.close()
        wrong = [one for one in self.problems if not any(part in one for part in self.allowed)]
        assert wrong == []


@dataclass
class World:
    """The stack as pages reach it."""

    stack: Stack
    browser: Browser
    http: aiohttp.ClientSession
    graph: Graph
    axe: str
    """The script that judges accessibility."""

    @property
    def service(self) -> Server:
        """The service's own process."""
        return self.stack.servers[-1]

    async def people(self, *names: str) -> list[str]:
        """New people of these names; their ids."""
        ids = [f"w{next(_names):05}" for _ in names]
        rows = [UserProfile(user, name) for user, name in zip(ids, names, strict=True)]
        await Users(graph=self.graph, shard_of=ShardMap().shard).upsert_many(rows)
        return ids

    async def crowd(self, count: int) -> list[str]:
        """Many new people."""
        return await self.people(*(f"Friend {number:04}" for number in range(count)))

    async def befriend(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Friendships, as the product's backend imports them."""
        for start in range(0, len(pairs), 1000):
            body = {"pairs": [{"a": a, "b": b} for a, b in pairs[start : start + 1000]]}
            await self.call("POST", "/v1/friendships:batch", json=body)

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """A call with the service key."""
        headers = {"X-Service-Key": self.stack.access.service_key}
        async with self.http.request(method, self.stack.api + path, headers=headers, **more) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    @asynccontextmanager
    async def window(
        self, user: str | None = None, script: str = "", **options: Any
    ) -> AsyncIterator[Window]:
        """A window, signed in as a person where one is named; `script` runs before the page's own."""
        context = await self.browser.new_context(**{"viewport": {"width": 1100, "height": 760}} | options)
        page = await context.new_page()
        if script:
            await page.add_init_script(script)
        window = Window(context, page)
        page.on("console", lambda said: window.problems.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: window.problems.append(str(error)))
        await page.goto(f"{self.stack.api}/" + (f"?as={user}" if user else ""))
        if user:
            await window.connected()
        try:
            yield window
        except BaseException:
            print("the page complained of:", window.problems, "at", page.url)
            await context.close()
            raise
        await window.close()

    def token(self, user: str, seconds: int = 600) -> str:
        """What the product's own login would give its user."""
        keys, now = self.stack.access, int(time.time())
        claims = {"sub": user, "aud": keys.jwt_audience, "iss": keys.jwt_issuer, "exp": now + seconds}
        return jwt.encode(claims, keys.jwt_secret, "HS256")

    @asynccontextmanager
    async def pubnub(self) -> AsyncIterator[PubNubAsyncio]:
        """The server's side of the keyset, by the official client."""
        keys, config = self.stack.access, PNConfiguration()
        config.subscribe_key, config.publish_key = keys.subscribe_key, keys.publish_key
        config.secret_key, config.user_id = keys.secret_key, "test-of-pages"
        config.origin, config.ssl = self.stack.origin, False
        sdk = PubNubAsyncio(config, custom_request_handler=AsyncAiohttpRequestHandler)
        yield sdk
        await sdk.stop()

    async def violations(self, page: Page) -> list[str]:
        """What axe-core finds wrong on a page, by WCAG 2.2 AA and its own good practices."""
        await page.evaluate(STILL)
        await page.evaluate(self.axe)
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['html'][:120]}" for rule in found["violations"] for node in rule["nodes"]
        ]
