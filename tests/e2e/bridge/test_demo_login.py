"""Signing in as a demo user: only where it is enabled, and only from this machine."""

from __future__ import annotations

import aiohttp
import pytest

from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.sharding import ShardMap
from pubnub_bridge.api import demo_login, routes
from pubnub_bridge.settings import Settings
from tests.conftest import Servers
from tests.e2e.bridge.conftest import Running, api, options


async def test_a_demo_user_gets_a_token_that_the_api_accepts(
    graph: Graph, servers: Servers, origin: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users are offered by name, one is chosen; unknown ids and other host names are refused."""
    monkeypatch.setattr(routes, "TABLES", (*routes.TABLES, demo_login.routes))
    settings = Settings(**(options(servers, origin)))  # type: ignore[arg-type]
    async with api(settings) as (url, _), aiohttp.ClientSession(url) as http:
        async with http.get("/demo/people") as response:
            assert await response.json() == {"people": []}
        await Users(
            graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
        ).upsert_many([UserProfile("ann", "Ann Lee")])
        async with http.get("/demo/people") as response:
            assert await response.json() == {"people": [{"id": "ann", "name": "Ann Lee"}]}
        async with http.post("/demo/session", json={"user": "ann"}) as response:
            found = await response.json()
            assert (response.status, found["name"]) == (200, "Ann Lee")
        async with http.get("/v1/friends", headers={"Authorization": f"Bearer {found['token']}"}) as response:
            assert response.status == 200
        async with http.post("/demo/session", json={"user": "nobody"}) as response:
            assert (response.status, (await response.json())["code"]) == (404, "user_not_found")
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80"):
            async with http.post("/demo/session", json={"user": "ann"}, headers={"Host": host}) as response:
                assert (response.status, (await response.json())["code"]) == (403, "not_from_here")


async def test_without_the_setting_the_demo_routes_do_not_exist(servers: Servers, origin: Running) -> None:
    settings = Settings(**(options(servers, origin)))  # type: ignore[arg-type]
    async with (
        api(settings) as (url, _),
        aiohttp.ClientSession(url) as http,
        http.post("/demo/session", json={"user": "ann"}) as response,
    ):
        assert response.status == 404
