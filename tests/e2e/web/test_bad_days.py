"""Failures of a client: shown with a message or ignored as documented, and the page always recovers."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Request, Route, expect

from tests.e2e.web.world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HOUR_OFF = """{
  const real = Date, off = 3_600_000;
  globalThis.Date = class extends real {
    constructor(...args) { args.length ? super(...args) : super(real.now() + off); }
    static now() { return real.now() + off; }
  };
}"""


def subscribe_tokens(requests: list[Request]) -> list[str]:
    """The tokens of the subscribe requests."""
    urls = [urlsplit(one.url) for one in requests if "/v2/subscribe/" in one.url]
    return [parse_qs(url.query)["auth"][0] for url in urls]


async def test_a_token_is_renewed_before_it_expires_and_used_from_then_on(world: World) -> None:
    """A new session is requested at renewAt, and no message is missed."""
    ann, ben = await world.users("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window() as anns:
        requests: list[Request] = []
        anns.page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - wants a function

        async def early(route: Route) -> None:
            response = await route.fetch()
            body = await response.json() | {"renewAt": int(time.time()) + 1}
            await route.fulfill(response=response, json=body)

        await anns.page.route("**/v1/session", early, times=1)
        await anns.page.goto(f"{world.stack.api}/?as={ann}")
        await anns.connected()
        first = subscribe_tokens(requests)[0]
        async with anns.page.expect_response("**/v1/session"):
            pass
        async with world.window(ben):
            await anns.sees(ben, "online")
        await anns.sees(ben, "offline")
        assert first not in subscribe_tokens(requests)[-1]


async def test_a_revoked_token_is_replaced(world: World) -> None:
    """PubNub rejects it; the client gets a new token and is up to date again."""
    ann, ben = await world.users("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window(ann) as anns:
        anns.allowed = ("Failed to load resource",)
        token = await anns.page.evaluate("friendsPresence.pubnub.session.token")
        async with world.pubnub() as server:
            await server.revoke_token(token).future()
        async with world.window(ben):
            await anns.sees(ben, "online")
        await anns.connected()
        assert await anns.page.evaluate("friendsPresence.pubnub.session.token") != token


async def test_a_wrong_or_expired_token_shows_a_message(world: World) -> None:
    """The form shows what the service says of a token."""
    (ann,) = await world.users("Ann")
    async with world.window() as window:
        page = window.page
        window.allowed = ("401", "Failed to load resource")
        await page.locator("#own-token summary").click()
        for token, text in (("nonsense", "token"), (world.token(ann, -600), "the token has expired")):
            await page.get_by_label("Token of a user").fill(token)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("alert").last).to_contain_text(text)
        await page.get_by_label("Token of a user").fill(world.token(ann))
        await page.get_by_role("button", name="Sign in").click()
        await window.connected()


async def test_unreachable_pubnub_shows_a_message_and_the_page_recovers(world: World) -> None:
    """The friends are listed over HTTP, a message says what is wrong, and the page recovers without a reload."""
    ann, ben = await world.users("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window() as anns:
        anns.allowed = ("net::ERR_FAILED", "Failed to load resource")
        away = f"http://{world.stack.origin}/**"
        await anns.page.route(away, lambda route: route.abort())
        await anns.page.goto(f"{world.stack.api}/?as={ann}")
        await expect(anns.page.locator("#connection")).to_have_text("Connection lost. Trying again…")
        await anns.sees(ben, "offline")
        await anns.page.unroute(away)
        await anns.connected()
        async with world.window(ben):
            await anns.sees(ben, "online")


async def test_malformed_messages_and_names_break_nothing(world: World) -> None:
    """Markup and right-to-left marks are text, a name of 10,000 characters is cut, other versions are ignored."""
    markup = '<img src=x onerror="globalThis.evil=1">\u202egnirts'
    ann, ben, eve = await world.users("Ann", "Ben", markup)
    await world.befriend([(ann, ben), (ann, eve)])
    async with world.window(ann) as anns, world.pubnub() as server:
        await expect(anns.row(eve).locator("bdi")).to_have_text(markup)
        for body in malformed(ben):
            await server.publish().channel(f"inbox.{ann}").message(body).future()
        await expect(anns.row(ben).locator("bdi")).to_contain_text("xxxx")
        name = await anns.row(ben).locator("bdi").inner_text()
        assert len(name) <= 48
        assert await anns.page.evaluate("friendsPresence.state.newer") is True
        assert await anns.page.evaluate("globalThis.evil") is None
        assert await anns.page.locator("#rows img").count() == 0
        await anns.sees(ben, "online")


def malformed(friend: str) -> list[Any]:
    """Messages that no service of this version sends, and at last one that it does."""
    ts = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 1))
    frame = {"schemaVersion": "1.0.0", "eventId": "evt_test", "ts": ts}
    return [
        "text",
        [],
        frame | {"type": "friend.waved", "payload": {}},
        frame | {"type": "friend.removed", "schemaVersion": "2.0.0", "payload": {"userId": friend}},
        frame | {"type": "friend.online", "payload": {"userId": friend, "name": "x" * 10_000, "at": 1}},
    ]


async def test_a_wrong_device_clock_changes_no_text(world: World) -> None:
    """An hour ahead, a friend who just left was still last seen just now, and presence stays known."""
    ann, ben = await world.users("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window(ann, script=HOUR_OFF) as anns:
        async with world.window(ben):
            await anns.sees(ben, "online")
        await anns.sees(ben, "offline")
        await expect(anns.row(ben).locator(".row-status")).to_have_text("Last seen just now")
        await expect(anns.page.locator("#unknown")).to_be_hidden()
