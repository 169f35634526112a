"""One stack and one browser, with the vocabulary of the page tests: users, windows, rows."""

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

from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.sharding import ShardMap
from local_stack.engines.server import Server
from local_stack.stack.up import Stack

TIMEOUT_MILLISECONDS = 20_000
"""For everything that must happen; the machine may be busy."""
OFFLINE_NOISE = ("net::ERR_", "Failed to load resource")
"""What Chromium itself logs while a server is away."""
_names = itertools.count()
expect.set_options(timeout=TIMEOUT_MILLISECONDS)

STILL = """() => Promise.allSettled(
  document.getAnimations().filter((a) => a.effect.getComputedTiming().endTime !== Infinity).map((a) => a.finished))"""
"""Waits until no animation runs: an element that fades in has less contrast."""


@dataclass
class Window:
    """One browser window of one user, with the errors that its page logged."""

    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()
    """Parts of errors that the test expects."""

    def row(self, user: str, presence: str | None = None) -> Any:
        """A friend's row, with `presence` only if it is shown so."""
        state = f'[data-presence="{presence}"]' if presence else ""
        return self.page.locator(f'#rows [data-id="{user}"]{state}')

    async def sees(self, user: str, presence: str) -> None:
        """Waits until a friend is shown so."""
        await expect(self.row(user, presence)).to_have_count(1)

    async def connected(self) -> None:
        """Waits until the page shows that it is connected."""
        await expect(self.page.locator("#connection[data-state=connected]")).to_be_visible()

    async def close(self) -> None:
        """As a user closes it; the page must have logged no errors."""
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
    """The script of axe-core."""

    @property
    def service(self) -> Server:
        """The service's own process."""
        return self.stack.servers[-1]

    async def users(self, *names: str) -> list[str]:
        """New users with these names; their ids."""
        ids = [f"w{next(_names):05}" for _ in names]
        rows = [UserProfile(user, name) for user, name in zip(ids, names, strict=True)]
        await Users(
            graph=self.graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
        ).upsert_many(rows)
        return ids

    async def crowd(self, count: int) -> list[str]:
        """Many new users."""
        return await self.users(*(f"Friend {number:04}" for number in range(count)))

    async def befriend(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Friendships, as the product's back end imports them."""
        for start in range(0, len(pairs), 1000):
            body = {"pairs": [{"a": a, "b": b} for a, b in pairs[start : start + 1000]]}
            await self.call("POST", "/v1/friendships:batch", json=body)

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """A request with the service key."""
        headers = {"X-Service-Key": self.stack.access.service_key}
        async with self.http.request(method, self.stack.api + path, headers=headers, **more) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    @asynccontextmanager
    async def window(
        self, user: str | None = None, script: str = "", **options: Any
    ) -> AsyncIterator[Window]:
        """A window, signed in where a user is given; `script` runs before the page's own."""
        context = await self.browser.new_context(**{"viewport": {"width": 1100, "height": 760}} | options)
        page = await context.new_page()
        if script:
            await page.add_init_script(script)
        window = Window(context, page)
        page.on("console", lambda line: window.problems.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: window.problems.append(str(error)))
        await page.goto(f"{self.stack.api}/" + (f"?as={user}" if user else ""))
        if user:
            await window.connected()
        try:
            yield window
        except BaseException:
            print("the page logged:", window.problems, "at", page.url)
            await context.close()
            raise
        await window.close()

    def token(self, user: str, seconds: int = 600) -> str:
        """A token as the product's own login would issue it."""
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
        """Violations of WCAG 2.2 AA and best practices that axe-core finds."""
        await page.evaluate(STILL)
        await page.evaluate(self.axe)
        results = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['html'][:120]}" for rule in results["violations"] for node in rule["nodes"]
        ]
