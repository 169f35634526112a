"""What goes wrong for a client, shown in words or ignored as documented, and never a broken page."""

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
    constructor(...given) { given.length ? super(...given) : super(real.now() + off); }
    static now() { return real.now() + off; }
  };
}"""


def polls(seen: list[Request], after: float = 0.0) -> list[str]:
    """The tokens of the subscribe calls among the requests."""
    urls = [urlsplit(one.url) for one in seen if "/v2/subscribe/" in one.url]
    return [parse_qs(url.query)["auth"][0] for url in urls]


async def test_a_token_is_renewed_before_its_end_and_used_from_then_on(world: World) -> None:
    """Another session is asked for when the first one says so, and nothing is missed."""
    ann, ben = await world.people("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window() as anns:
        seen: list[Request] = []
        anns.page.on("request", lambda request: seen.append(request))  # noqa: PLW0108 - wants a function

        async def early(route: Route) -> None:
            answer = await route.fetch()
            body = await answer.json() | {"renewAt": int(time.time()) + 1}
            await route.fulfill(response=answer, json=body)

        await anns.page.route("**/v1/session", early, times=1)
        await anns.page.goto(f"{world.stack.api}/?as={ann}")
        await anns.connected()
        first = polls(seen)[0]
        async with anns.page.expect_response("**/v1/session"):
            pass
        async with world.window(ben):
            await anns.sees(ben, "online")
        await anns.sees(ben, "offline")
        assert first not in polls(seen)[-1]


async def test_a_revoked_token_is_replaced(world: World) -> None:
    """PubNub refuses; the client gets another token by itself and is right again."""
    ann, ben = await world.people("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window(ann) as anns:
        anns.allowed = ("Failed to load resource",)
        token = await anns.page.evaluate("friendsPresence.link.session.token")
        async with world.pubnub() as server:
            await server.revoke_token(token).future()
        async with world.window(ben):
            await anns.sees(ben, "online")
        await anns.connected()
        assert await anns.page.evaluate("friendsPresence.link.session.token") != token


async def test_a_wrong_or_expired_sign_in_is_told_in_words(world: World) -> None:
    """The form takes tokens, and says what the service says of them."""
    (ann,) = await world.people("Ann")
    async with world.window() as window:
        page = window.page
        window.allowed = ("401", "Failed to load resource")
        await page.locator("#own-token summary").click()
        for token, words in (("nonsense", "token"), (world.token(ann, -600), "the token has expired")):
            await page.get_by_label("Token of a user").fill(token)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("alert").last).to_contain_text(words)
        await page.get_by_label("Token of a user").fill(world.token(ann))
        await page.get_by_role("button", name="Sign in").click()
        await window.connected()


async def test_pubnub_out_of_reach_is_told_in_words_and_passes(world: World) -> None:
    """The friends are there by HTTP, the words say what is wrong, and the page recovers by itself."""
    ann, ben = await world.people("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window() as anns:
        anns.allowed = ("net::ERR_FAILED", "Failed to load resource")
        away = f"http://{world.stack.origin}/**"
        await anns.page.route(away, lambda route: route.abort())
        await anns.page.goto(f"{world.stack.api}/?as={ann}")
        await expect(anns.page.locator("#link")).to_have_text("Connection lost. Trying again…")
        await anns.sees(ben, "offline")
        await anns.page.unroute(away)
        await anns.connected()
        async with world.window(ben):
            await anns.sees(ben, "online")


async def test_strange_messages_and_names_break_nothing(world: World) -> None:
    """Markup and right-to-left marks are text, a name of 10,000 characters is cut, other versions are ignored."""
    markup = '<img src=x onerror="globalThis.evil=1">\u202egnirts'
    ann, ben, eve = await world.people("Ann", "Ben", markup)
    await world.befriend([(ann, ben), (ann, eve)])
    async with world.window(ann) as anns, world.pubnub() as server:
        await expect(anns.row(eve).locator("bdi")).to_have_text(markup)
        for body in strange(ben):
            await server.publish().channel(f"inbox.{ann}").message(body).future()
        await expect(anns.row(ben).locator("bdi")).to_contain_text("xxxx")
        name = await anns.row(ben).locator("bdi").inner_text()
        assert len(name) <= 48
        assert await anns.page.evaluate("friendsPresence.state.newer") is True
        assert await anns.page.evaluate("globalThis.evil") is None
        assert await anns.page.locator("#rows img").count() == 0
        await anns.sees(ben, "online")


def strange(friend: str) -> list[Any]:
    """What no service of this version sends, and at last something that it does."""
    ts = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 1))
    frame = {"schemaVersion": "1.0.0", "eventId": "evt_test", "ts": ts}
    return [
        "text",
        [],
        frame | {"type": "friend.waved", "payload": {}},
        frame | {"type": "friend.removed", "schemaVersion": "2.0.0", "payload": {"userId": friend}},
        frame | {"type": "friend.online", "payload": {"userId": friend, "name": "x" * 10_000, "at": 1}},
    ]


async def test_a_devices_wrong_clock_changes_no_words(world: World) -> None:
    """An hour ahead, a friend who just left was still last seen just now, and silence is not made up."""
    ann, ben = await world.people("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window(ann, script=HOUR_OFF) as anns:
        async with world.window(ben):
            await anns.sees(ben, "online")
        await anns.sees(ben, "offline")
        await expect(anns.row(ben).locator(".row-status")).to_have_text("Last seen just now")
        await expect(anns.page.locator("#doubt")).to_be_hidden()
