"""The operator console in a real browser: it shows the true state, explains it, and stays closed without the key."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from playwright.async_api import Locator, Page, expect

from graph_service.valkey.cluster import open_valkey
from local_stack.engines.process import Process, Program
from pubnub_bridge.store.dead_letters import DeadLetters
from tests.e2e.web.world import OFFLINE_NOISE, TIMEOUT_MILLISECONDS, Window, World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PARTITIONS = 20
HUE = "cell => cell.style.getPropertyValue('--hue')"
WATCH_PIPELINE = """() => {
  globalThis.moved = new Set();
  const note = () => {
    for (const stage of document.querySelectorAll("#pipeline .stage")) {
      if (parseFloat(stage.querySelector(".rate").textContent) > 0) moved.add(stage.dataset.stage);
    }
  };
  new MutationObserver(note).observe(document.getElementById("pipeline"), {subtree: true, childList: true, characterData: true});
}"""


@asynccontextmanager
async def console(world: World, *allowed: str) -> AsyncIterator[Window]:
    """A console that is open and live; at the end it must have logged no errors."""
    context = await world.browser.new_context(
        viewport={"width": 1360, "height": 900}, reduced_motion="reduce"
    )
    window = Window(context, await context.new_page(), allowed=allowed)
    window.page.on(
        "console", lambda line: window.problems.append(line.text) if line.type == "error" else None
    )
    window.page.on("pageerror", lambda error: window.problems.append(str(error)))
    await window.page.goto(f"{world.stack.api}/console")
    await window.page.fill("#key", world.stack.access.console_key)
    await window.page.fill("#operator", "Olga <b>")
    await window.page.click("#login button")
    await expect(window.page.locator("#live[data-state=live]")).to_be_visible()
    try:
        yield window
    except BaseException:
        print("the console logged:", window.problems)
        await context.close()
        raise
    await window.close()


def cells(page: Page, owner: str | None = None) -> Locator:
    """The partitions, or those of one owner."""
    return page.locator("#partitions .cell" + (f'[data-owner^="{owner}"]' if owner is not None else ""))


async def tab(page: Page, name: str) -> None:
    """Opens a tab of the console."""
    await page.click(f'.tabs a[href="#{name}"]')
    await expect(page.locator(f"#{name}")).to_be_visible()


async def test_a_wrong_key_is_rejected_with_a_message_and_the_right_one_stays_in_memory(world: World) -> None:
    """Nothing is shown without it, and nothing is stored: not in storage, not in the address, not over a reload."""
    async with console(world) as window:
        page = window.page
        stored = await page.evaluate(
            "[localStorage.length, sessionStorage.length, document.cookie, location.href]"
        )
        assert stored == [0, 0, "", f"{world.stack.api}/console"]
        window.allowed = OFFLINE_NOISE
        await page.reload()
        await expect(page.locator("#app")).to_be_hidden()
        await page.fill("#key", "x" * 32)
        await page.click("#login button")
        await expect(page.locator("#login-words")).to_have_text(
            "The key in X-Console-Key is missing or wrong."
        )
        await page.goto("about:blank")
        await page.goto(f"{world.stack.api}/console#key={world.stack.access.console_key}")
        await expect(page.locator("#live[data-state=live]")).to_be_visible()
        assert page.url == f"{world.stack.api}/console"


async def test_arriving_users_show_in_every_stage_of_the_pipeline(world: World) -> None:
    """Two users arrive: the stages have rates, the most expensive user is one of them, nothing is degraded."""
    ann, ben = await world.users("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with console(world) as window:
        page = window.page
        await expect(page.locator("#pipeline .stage")).to_have_count(7)
        await page.evaluate(WATCH_PIPELINE)
        async with world.window(ann), world.window(ben):
            stages = ["ingest", "commit", "read", "enqueue", "publish"]
            await page.wait_for_function(
                "stages => stages.every((stage) => moved.has(stage))",
                arg=stages,
                timeout=TIMEOUT_MILLISECONDS,
            )
            await expect(
                page.locator("#costly .link").filter(has_text=re.compile(f"{ann}|{ben}")).first
            ).to_be_visible()
        await expect(page.locator("#degraded")).to_be_hidden()
        await expect(page.locator(".plot canvas")).to_have_count(5)
        await expect(cells(page)).to_have_count(PARTITIONS)


async def test_partitions_of_a_killed_bridge_move(world: World) -> None:
    """A second bridge takes its share, in its own colour; after a kill the first one owns every partition again."""
    program = world.service.process.program
    command = [sys.executable, "-m", "pubnub_bridge", "--no-api"]
    log = program.log.with_name("second-bridge.log")
    async with console(world) as window:
        page = window.page
        first = await cells(page).first.get_attribute("data-owner")
        await expect(cells(page, first)).to_have_count(PARTITIONS)
        second = Process.start(
            Program(name="second bridge", command=command, log=log, environ=program.environ)
        )
        try:
            await expect(page.locator("#bridges tbody tr[data-bridge]")).to_have_count(2)
            name = await page.locator(f'#bridges tbody tr:not([data-bridge="{first}"])').get_attribute(
                "data-bridge"
            )
            await expect(cells(page, name).first).to_be_visible()
            hues = [await cells(page, owner).first.evaluate(HUE) for owner in (first, name)]
            assert hues[0] != hues[1]
        finally:
            await second.kill()
        await expect(cells(page, first)).to_have_count(PARTITIONS, timeout=40_000)
        await expect(page.locator("#bridges tbody tr[data-bridge]")).to_have_count(1, timeout=40_000)


async def test_why_explains_what_a_viewer_sees(world: World) -> None:
    """A verdict by name, the committed change with who was notified; users who are no friends; unknown ids; all audited."""
    ann, ben, eve = await world.users("Ann <img src=x onerror=alert(1)>", "Ben", "Eve")
    await world.befriend([(ann, ben)])
    async with console(world, *OFFLINE_NOISE) as window, world.window(ann) as anns:
        page = window.page
        await tab(page, "users")
        async with world.window(ben):
            await anns.sees(ben, "online")
            await explain(page, ann, ben)
            await expect(page.locator(".verdict")).to_have_text(
                "Ann <img src=x onerror=alert(1)> sees Ben online because Ben is settled online."
            )
            await expect(page.locator(".timeline li[data-presence=online]").first).to_contain_text(
                "notified 1 friend"
            )
        await anns.sees(ben, "offline")
        await explain(page, ann, ben)
        await expect(page.locator(".verdict[data-shown=offline]")).to_contain_text("Ben is settled offline")
        await explain(page, eve, ben)
        await expect(page.locator(".verdict")).to_have_text(
            "Eve sees Ben offline because they are not friends."
        )
        await explain(page, ann, "nobody-of-this-name")
        await expect(page.locator("#why .error")).to_contain_text("There is no user")
        await tab(page, "dead-letters")
        first = page.locator("#audit tbody tr").filter(has_text="why").first
        await expect(first).to_contain_text(f"{ann} nobody-of-this-name")
        await expect(first).to_contain_text("Olga <b>")


async def explain(page: Page, viewer: str, friend: str) -> None:
    """Requests an explanation, and waits for the response."""
    await page.fill("#why-viewer", viewer)
    await page.fill("#why-friend", friend)
    async with page.expect_response(lambda response: "/v1/console/why" in response.url):
        await page.click("#why-form button")


async def test_a_circle_is_drawn_and_updates_live(world: World) -> None:
    """The text next to the graph says who is online; a friend arrives, and it changes without a request of the operator."""
    ann, ben, cleo = await world.users("Ann", "Ben", "Cleo")
    await world.befriend([(ann, ben), (ann, cleo), (ben, cleo)])
    async with console(world) as window:
        await tab(window.page, "users")
        await window.page.fill("#ego-user", ann)
        await window.page.click("#ego-form button")
        text = window.page.locator("#ego-words")
        await expect(text).to_have_text(
            "Ann has 2 friends; of the 2 shown 0 are online, with 1 friendships among them"
        )
        await expect(window.page.locator("#ego canvas").first).to_be_visible()
        async with world.window(ben):
            await expect(text).to_contain_text("1 are online")
        assert await world.violations(window.page) == []


async def test_dead_letters_are_redriven_with_the_service_key_only(world: World) -> None:
    """The badge counts them; the console's own key is rejected with a message; the service key redrives them."""
    (ann,) = await world.users("Ann")
    async with open_valkey(world.stack.engines.redis_url) as valkey:
        body = b'{"type": "friends.sync", "payload": {}}'
        await DeadLetters(valkey=valkey, partitions=PARTITIONS).add_message(
            0, ann, body, "400 Message Too Large"
        )
    async with console(world, *OFFLINE_NOISE) as window:
        page = window.page
        await expect(page.locator("#dead-badge")).to_have_text("1")
        await tab(page, "dead-letters")
        await expect(page.locator("#dead tbody tr")).to_contain_text("400 Message Too Large")
        assert await world.violations(page) == []
        await page.click("#redrive")
        await page.fill("#service-key", world.stack.access.console_key)
        await page.click("#redrive-form button[type=submit]")
        await expect(page.locator("#redrive-words")).to_contain_text("X-Service-Key is missing or wrong")
        await page.fill("#service-key", world.stack.access.service_key)
        await page.click("#redrive-form button[type=submit]")
        await expect(page.locator("#toast")).to_have_text("1 message is on the way again")
        await expect(page.locator("#dead tbody")).to_contain_text("No dead letters.")
        await expect(page.locator("#dead-badge")).to_be_hidden()


async def test_the_console_shows_when_the_service_is_away_and_recovers(world: World) -> None:
    """A message while it is lost, the last figures stay; live again without a reload."""
    async with console(world, *OFFLINE_NOISE) as window:
        await expect(window.page.locator("#pipeline .stage")).to_have_count(7)
        await world.service.kill()
        try:
            await expect(window.page.locator("#live[data-state=lost]")).to_be_visible()
            await expect(window.page.locator("#pipeline .stage")).to_have_count(7)
        finally:
            await world.service.start()
        await expect(window.page.locator("#live[data-state=live]")).to_be_visible(timeout=40_000)


async def test_the_console_is_accessible_in_light_and_dark_and_on_a_phone(world: World) -> None:
    """Axe finds no violation; every tab is reachable by keys; nothing is wider than a phone."""
    async with console(world) as window:
        page = window.page
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            await page.emulate_media(color_scheme=scheme)
            assert await world.violations(page) == []
        await page.locator('.tabs a[href="#users"]').focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#users")).to_be_visible()
        await page.set_viewport_size({"width": 390, "height": 800})
        await tab(page, "overview")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await world.violations(page) == []
