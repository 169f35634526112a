"""Take the screenshots of ``docs/images/``: ``make screenshots``. Each is a function in `SHOTS`.

They run on a separate stack with demo users who come and go, so they show what a new developer sees.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import typer
from playwright.async_api import Browser, Page, async_playwright

from local_stack.stack.up import Choice, Stack, stack

IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
DEMO_USERS = 1200
DESK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "device_scale_factor": 1.5,
    "bypass_csp": True,  # wait_for_function evaluates text
}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "bypass_csp": True,
}
Shot = Callable[[Browser, Stack], Awaitable[None]]


async def friends(browser: Browser, running: Stack) -> None:
    """The friends page, light and dark, with a pending request."""
    for scheme in ("light", "dark"):
        page = await _signed_in(browser, running, DESK | {"color_scheme": scheme})
        await _asked_by_a_suggested(browser, running, page)
        await page.locator("#incoming li").first.wait_for()
        await _save(page, f"friends-{scheme}.png")


async def phone(browser: Browser, running: Stack) -> None:
    """The same on a phone."""
    await _save(await _signed_in(browser, running, PHONE), "friends-phone.png")


async def console(browser: Browser, running: Stack) -> None:
    """The operator console, once its charts have lines, and an explanation of one friend's state."""
    page = await (await browser.new_context(**DESK | {"color_scheme": "dark"})).new_page()
    await page.goto(f"{running.api}/console#key={running.access.console_key}")
    await page.locator("#live[data-state=live]").wait_for()
    await asyncio.sleep(45.0)
    await page.screenshot(path=IMAGES / "console.png", full_page=True, animations="disabled")
    typer.echo("docs/images/console.png")
    await page.locator("#costly .link").first.click()
    await page.locator("#circle option").first.wait_for(state="attached")
    friend = await page.evaluate("document.querySelector('#circle option').value")
    viewer = await page.input_value("#ego-user")
    await page.fill("#why-viewer", viewer)
    await page.fill("#why-friend", friend)
    await page.click("#why-form button")
    await page.locator(".verdict").wait_for()
    await asyncio.sleep(1.0)
    await page.screenshot(path=IMAGES / "console-why.png", full_page=True, animations="disabled")
    typer.echo("docs/images/console-why.png")
    await page.context.close()


SHOTS: list[Shot] = [friends, phone, console]


async def _signed_in(
    browser: Browser, running: Stack, options: dict[str, Any], user: str | None = None
) -> Page:
    page = await (await browser.new_context(**options)).new_page()
    await page.goto(f"{running.api}/" + (f"?as={user}" if user else ""))
    if user is None:
        await page.locator(".choice").first.click()
    await page.locator("#connection[data-state=connected]").wait_for()
    return page


async def _asked_by_a_suggested(browser: Browser, running: Stack, page: Page) -> None:
    """A user whom the page suggests sends a request."""
    await page.locator("#suggestions li").first.wait_for()
    asker = await page.locator("#suggestions li").nth(3).get_attribute("data-id")
    other = await _signed_in(browser, running, DESK, asker)
    await other.evaluate("id => friendsPresence.ask(id)", await page.evaluate("friendsPresence.userId"))
    await other.context.close()


async def _save(page: Page, name: str) -> None:
    """Scrolled to where online and offline friends meet, once the trend is a line."""
    await page.wait_for_function(
        "friendsPresence.everyone?.trend.length > 8 && !document.querySelector('.toast')"
    )
    await page.mouse.move(2, 2)
    here = await page.evaluate("friendsPresence.friends.filter((one) => one.online).length")
    await page.evaluate("top => document.getElementById('viewport').scrollTo({ top })", 64 * max(0, here - 5))
    await asyncio.sleep(1.0)
    await page.screenshot(path=IMAGES / name, animations="disabled")
    typer.echo(f"docs/images/{name}")
    await page.context.close()


async def take() -> None:
    """All screenshots, once the demo users have had time to arrive."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "DEMO_MINUTES": "1", "STATUS_COUNT_INTERVAL_SECONDS": "2"}
        choice = Choice(data=Path(folder) / "data", people=DEMO_USERS, environ=environ)
        async with stack(choice, typer.echo) as running, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            await asyncio.sleep(60.0)
            for shot in SHOTS:
                await shot(browser, running)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
