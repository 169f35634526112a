"""Pages and their files: what is served, under which policy, and that nothing else is served."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from graph_service.errors import SetupError
from graph_service.settings import load
from pubnub_bridge.api.static_files import LIBRARIES, Pages, content_policy, origin_source
from pubnub_bridge.settings import Settings
from tests.support.serving import SECRET

MAP = '{"imports": {"friends-presence": "/web/friends-presence.js"}}'


def options(**more: Any) -> Settings:
    """Settings of the pages."""
    defaults = {"environment": "development", "jwt_secret": SECRET, "pubnub_origin": "ps.example.com"}
    return load(Settings, **(defaults | more))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[str]:
    """The pages of this project on a free port, with one library of three; where they are."""
    (tmp_path / "pubnub").mkdir()
    (tmp_path / "pubnub" / "pubnub.min.js").write_text("globalThis.PubNub = 1;")
    (tmp_path / "pubnub" / ".hidden.js").write_text("no")
    (tmp_path / "secret.txt").write_text("no")
    (tmp_path / "outside.js").symlink_to("/etc/hostname")
    app = web.Application()
    Pages(settings=options(web_libraries=str(tmp_path))).mount(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_page_is_never_cached_and_its_policy_says_what_it_may_load(served: str) -> None:
    """Scripts from here and the import map by its hash; requests to here and PubNub's origin; nothing else."""
    async with aiohttp.ClientSession() as http, http.get(f"{served}/") as response:
        body = await response.text()
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
    assert MAP in body
    digest = base64.b64encode(hashlib.sha256(MAP.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "connect-src 'self' https://ps.example.com;" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*(src=|importmap))|\son\w+=|style=", body), "nothing inline"


async def test_a_file_is_sent_once_and_then_revalidated_by_its_etag(served: str) -> None:
    """304 until it changes."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{served}/web/state.js") as first:
            assert first.content_type == "text/javascript"
            assert first.headers["X-Content-Type-Options"] == "nosniff"
            tag = first.headers["ETag"]
        async with http.get(f"{served}/web/state.js", headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read()) == (304, b"")
        async with http.get(f"{served}/web/state.js", headers={"If-None-Match": '"other"'}) as other:
            assert other.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/web/../pyproject.toml",
        "/web/%2e%2e/pyproject.toml",
        "/web/lib/..%2f..%2fetc/passwd",
        "/web//etc/passwd",
        "/web/lib/secret.txt",
        "/web/lib/outside.js",
        "/web/lib/pubnub/.hidden.js",
        "/web/index.html",
        "/web/",
        "/web/page",
    ],
)
async def test_nothing_else_is_served(served: str, path: str) -> None:
    """No path leads out, hidden files and links stay where they are, a page has one address."""
    from yarl import URL

    async with (
        aiohttp.ClientSession() as http,
        http.get(URL(f"{served}{path}", encoded=True)) as response,
    ):
        assert response.status == 404


async def test_a_page_learns_which_libraries_are_missing(served: str) -> None:
    """So that it can report them to the user."""
    async with aiohttp.ClientSession() as http, http.get(f"{served}/web/page.json") as response:
        assert await response.json() == {"demo": False, "missing": ["uplot", "cytoscape"]}


def test_an_origin_that_is_more_than_a_host_does_not_widen_the_policy() -> None:
    """It comes from an option, and options can be mistyped."""
    assert origin_source("127.0.0.1:8090", tls=False) == "http://127.0.0.1:8090"
    assert origin_source("a.com; script-src *", tls=True) == ""
    assert "*" not in content_policy(b"", origin_source("*", tls=True))


def test_libraries_are_files_of_the_lock_file() -> None:
    """What the pages load is what `up` fetches."""
    from local_stack.stack import web_libraries

    locked = {f"{one.name}/{Path(file).name}" for one in web_libraries.read() for file in one.files}
    assert set(LIBRARIES.values()) <= locked


def test_demo_sign_in_is_refused_in_production() -> None:
    """With it, any user could sign in as any other."""
    assert load(Settings).demo_login is False
    with pytest.raises(SetupError, match="DEMO_LOGIN"):
        load(Settings, environment="production", demo_login=True)
