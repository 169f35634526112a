"""One stack and one Chromium for all page tests, which are skipped with a message where there is no Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, async_playwright
from pydantic import SecretStr

from graph_service.graph.driver import connect
from graph_service.settings import Settings
from local_stack.errors import NoWebLibraries
from local_stack.stack import web_libraries
from local_stack.stack.up import Choice, stack
from tests.e2e.web.world import World

CHROMIUM = os.environ.get("CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
AXE = Path(__file__).with_name("axe.lock")
DEBOUNCE_SECONDS = 2.0
"""After a leave or timeout: a page's reload must fit into it on a busy machine."""
OPTIONS = {
    "DEMO_LOGIN": "on",
    "DEBOUNCE_ONLINE_SECONDS": "0.3",
    "DEBOUNCE_LEAVE_SECONDS": str(DEBOUNCE_SECONDS),
    "DEBOUNCE_TIMEOUT_SECONDS": str(DEBOUNCE_SECONDS),
    "STATUS_COUNT_INTERVAL_SECONDS": "1",
    "RATE_LIMIT_ADDRESS": "",
}
HIDDEN = ("NEO4J_URI", "REDIS_URL", "PUBNUB_SUBSCRIBE_KEY", "WEB_LIBRARIES")


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The machine's own browser, headless."""
    if CHROMIUM is None:
        pytest.skip(
            "no Chromium on this machine: install it (.ci/browser.sh does on Debian) or name it in CHROMIUM"
        )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def world(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everything that `friends-presence up` starts, without the demo people."""
    folder = tmp_path_factory.mktemp("pages")
    environ = {name: value for name, value in os.environ.items() if name not in HIDDEN} | OPTIONS
    try:
        axe = await web_libraries.ready(AXE)
    except NoWebLibraries as missing:
        pytest.skip(str(missing))
    choice = Choice(data=folder / "data", people=0, control=True, environ=environ)
    script = (axe / "axe-core" / "axe.min.js").read_text("utf-8")
    async with stack(choice, print) as running, aiohttp.ClientSession() as http:
        neo4j = running.engines.neo4j
        settings = Settings(
            environment="development",
            neo4j_uri=neo4j.uri,
            neo4j_user=neo4j.user,
            neo4j_password=SecretStr(neo4j.password),
        )
        async with connect(settings) as graph:
            yield World(running, chromium, http, graph, script)
