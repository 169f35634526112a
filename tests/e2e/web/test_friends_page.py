"""The friends page as users see it: two windows, two friends, and everything between them."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.web.world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

WATCH_ROW = """(user) => {
  globalThis.shown = [];
  const note = () => shown.push(document.querySelector(`#rows [data-id="${user}"]`)?.dataset.presence ?? "gone");
  new MutationObserver(note).observe(document.getElementById("rows"), {subtree: true, childList: true, attributes: true});
}"""


async def test_a_friend_comes_online_and_goes_offline(world: World) -> None:
    """Opening a page makes a user online; closing it offline, after the debounce time and without a timeout."""
    ann, ben = await world.users("Ann Lee", "Ben Okafor")
    await world.befriend([(ann, ben)])
    async with world.window(ann) as anns:
        await anns.sees(ben, "offline")
        async with world.window(ben) as bens:
            await bens.sees(ann, "online")
            await anns.sees(ben, "online")
            await expect(anns.page.locator("#online-count")).to_have_text("1")
        await anns.sees(ben, "offline")
        await expect(anns.row(ben).locator(".row-status")).to_have_text("Last seen just now")


async def test_a_reload_is_not_shown_to_friends(world: World) -> None:
    """A reload within the debounce time changes nothing for friends."""
    ann, ben, cleo = await world.users("Ann", "Ben", "Cleo")
    await world.befriend([(ann, ben), (ann, cleo)])
    async with world.window(ann) as anns, world.window(ben) as bens:
        await anns.sees(ben, "online")
        await anns.page.evaluate(WATCH_ROW, ben)
        await bens.page.reload()
        await bens.connected()
        # Cleo comes and goes after Ben's reload: once both are shown, a leave of Ben would have been shown too.
        async with world.window(cleo):
            await anns.sees(cleo, "online")
        await anns.sees(cleo, "offline")
        assert set(await anns.page.evaluate("shown")) == {"online"}


async def test_asking_accepting_and_blocking_show_at_once_in_both_windows(world: World) -> None:
    """From an explained suggestion to a friendship, a block that ends it, and an unblock."""
    ann, ben, cleo = await world.users("Ann", "Ben", "Cleo Diaz")
    await world.befriend([(ann, ben), (ben, cleo)])
    async with world.window(ann) as anns, world.window(cleo) as cleos:
        suggestion = anns.page.locator(f'#suggestions [data-id="{cleo}"]')
        await expect(suggestion).to_contain_text("1 friend in common: Ben")
        await suggestion.get_by_role("button").click()
        await expect(anns.page.locator(f'#outgoing [data-id="{cleo}"]')).to_contain_text("Waiting")
        request = cleos.page.locator(f'#incoming [data-id="{ann}"]')
        await expect(cleos.page.locator("#requests-count")).to_have_text("1")
        await request.get_by_role("button", name="Accept").click()
        await anns.sees(cleo, "online")
        await cleos.sees(ann, "online")
        await expect(anns.page.locator("#toasts")).to_contain_text("Cleo Diaz is a friend now")

        await anns.row(cleo).get_by_role("button").click()
        await expect(anns.page.locator("#card-mutual")).to_contain_text("1 friend in common")
        await anns.page.get_by_role("button", name="Block").click()
        await expect(anns.row(cleo)).to_have_count(0)
        await expect(cleos.row(ann)).to_have_count(0)
        await expect(anns.page.locator("#card")).to_be_hidden()
        await anns.page.locator("#blocks-panel summary").click()
        await anns.page.get_by_role("button", name="Unblock: Cleo Diaz").click()
        await expect(anns.page.locator("#blocks-panel")).to_be_hidden()


async def test_a_thousand_friends_are_a_few_rows_and_all_are_reachable_by_keys(world: World) -> None:
    """The list scrolls over all, holds only the rows in sight, and works without a mouse."""
    (ann,) = await world.users("Ann")
    friends = await world.crowd(1000)
    await world.befriend([(ann, friend) for friend in friends])
    async with world.window(ann) as anns:
        page = anns.page
        await expect(page.locator("#friends-count")).to_have_text("1,000")
        assert await page.locator(".row-place").count() < 40
        await page.locator(".row").first.focus()
        await page.keyboard.press("End")
        last = page.locator(":focus")
        await expect(last).to_contain_text("Friend 0999")
        await expect(last.locator("xpath=..")).to_have_attribute("aria-posinset", "1000")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await expect(page.locator("#card-name")).to_have_text("Friend 0998")
        await page.keyboard.press("Escape")
        await expect(page.locator(":focus")).to_contain_text("Friend 0998")
        await page.get_by_label("Search friends by name").fill("FRIEND 07")
        await expect(page.locator("#rows li").first).to_contain_text("Friend 0700")
        await expect(page.locator(".row-place").first).to_have_attribute("aria-setsize", "100")
        await page.locator("#filter span", has_text="Online").click()
        await expect(page.locator("#empty")).to_have_text("No friend of that name here.")
        assert await world.violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_tab_is_accessible(world: World, scheme: str) -> None:
    """axe-core finds no violation on the first page, the friends, an open card, requests, and a phone's width."""
    ann, ben, cleo, dan = await world.users("Ann", "Ben", "Cleo", "Dan")
    await world.befriend([(ann, ben), (ben, cleo)])
    async with world.window(color_scheme=scheme) as first:
        await expect(first.page.locator(".choice").first).to_be_visible()
        assert await world.violations(first.page) == []
    async with world.window(dan) as dans, world.window(ann, color_scheme=scheme) as anns:
        await dans.page.evaluate("id => friendsPresence.ask(id)", ann)
        await expect(anns.page.locator("#incoming li")).to_have_count(1)
        await expect(anns.page.locator("#suggestions li")).to_have_count(1)
        await expect(anns.page.locator("#everyone")).to_be_visible()
        assert await world.violations(anns.page) == []
        await anns.row(ben).get_by_role("button").click()
        await expect(anns.page.locator("#card-mutual p")).to_be_visible()
        assert await world.violations(anns.page) == []
        await anns.page.keyboard.press("Escape")
        await anns.page.set_viewport_size({"width": 390, "height": 844})
        await anns.page.locator(".tabs [data-tab=requests]").click()
        await expect(anns.page.locator("#incoming li")).to_be_visible()
        assert await world.violations(anns.page) == []
        width = await anns.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, "nothing may be wider than the phone"


async def test_presence_is_unknown_while_the_service_is_dead_and_right_after_its_restart(
    world: World,
) -> None:
    """No friend stays shown as online because a server died; changes in between are shown after the restart."""
    ann, ben, cleo = await world.users("Ann", "Ben", "Cleo")
    await world.befriend([(ann, ben), (ann, cleo)])
    async with world.window(ann) as anns, world.window(cleo):
        anns.allowed = ("Failed to load resource",)
        async with world.window(ben) as bens:
            await anns.sees(ben, "online")
            await expect(anns.page.locator("#everyone")).to_be_visible()
            await world.service.kill()
            left = await anns.page.evaluate("friendsPresence.state.believedUntil - performance.now()")
            assert left <= 3000, "presence is trusted for three intervals of status.count, and no longer"
            bens.allowed = anns.allowed
            await anns.sees(ben, "unknown")
            await anns.sees(cleo, "unknown")
            await expect(anns.page.locator("#unknown")).to_contain_text("silent")
            await expect(anns.page.locator("#online-count")).to_have_text("?")
        await world.service.start()
        await anns.sees(cleo, "online")
        await anns.sees(ben, "offline")
        await expect(anns.page.locator("#unknown")).to_be_hidden()


async def test_the_page_follows_its_content_security_policy(world: World) -> None:
    """No request to a third party, no inline script except the import map, nothing stored."""
    ann, ben = await world.users("Ann", "Ben")
    await world.befriend([(ann, ben)])
    async with world.window(ann) as anns:
        requested: list[str] = []
        anns.page.on("request", lambda request: requested.append(request.url))
        await anns.page.reload()
        await anns.connected()
        await anns.sees(ben, "offline")
        ours = (f"{world.stack.api}/", f"http://{world.stack.origin}/")
        assert [url for url in requested if not url.startswith(ours) and not url.startswith("data:")] == []
        assert (
            await anns.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length")
            == 0
        )
        inline = "const s = document.createElement('script'); s.textContent = 'globalThis.evil = 1'; document.body.append(s)"
        await anns.page.evaluate(inline)
        assert await anns.page.evaluate("globalThis.evil") is None
        anns.allowed = ("Content Security Policy",)
        assert re.search("inline script", " ".join(anns.problems))
