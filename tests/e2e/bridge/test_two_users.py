"""No route of the API document lets a stranger read or change anything of another user.

A new route without a case here fails the test.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from graph_service.api.dev_tokens import mint
from graph_service.graph.driver import Graph
from local_stack.origin.app import Running
from tests.conftest import Servers
from tests.e2e.bridge.conftest import World, without_bridge

VICTIMS = ("ann", "ben", "cat", "dan")
OWN, SERVICE, CONSOLE, WEBHOOK, PUBLIC = "own", "service", "console", "webhook", "public"
CASES: dict[tuple[str, str], tuple[str, frozenset[int]]] = {
    ("GET", "/v1/friends"): (OWN, frozenset({200})),
    ("GET", "/v1/friends/{id}"): (OWN, frozenset({404})),
    ("PUT", "/v1/friends/{id}"): (OWN, frozenset({200})),
    ("DELETE", "/v1/friends/{id}"): (OWN, frozenset({200})),
    ("GET", "/v1/friends/{id}/mutual"): (OWN, frozenset({404})),
    ("GET", "/v1/requests"): (OWN, frozenset({200})),
    ("DELETE", "/v1/requests/{id}"): (OWN, frozenset({200})),
    ("GET", "/v1/blocks"): (OWN, frozenset({200})),
    ("PUT", "/v1/blocks/{id}"): (OWN, frozenset({200})),
    ("DELETE", "/v1/blocks/{id}"): (OWN, frozenset({200})),
    ("GET", "/v1/suggestions"): (OWN, frozenset({200})),
    ("GET", "/v1/sync"): (OWN, frozenset({200})),
    ("POST", "/v1/sync"): (OWN, frozenset({200})),
    ("POST", "/v1/session"): (OWN, frozenset({200})),
    ("PUT", "/v1/me/visibility"): (OWN, frozenset({200})),
    ("PUT", "/v1/users/{id}"): (SERVICE, frozenset({401})),
    ("GET", "/v1/users/{id}"): (SERVICE, frozenset({401})),
    ("DELETE", "/v1/users/{id}"): (SERVICE, frozenset({401})),
    ("GET", "/v1/users/{id}/traces"): (SERVICE, frozenset({401})),
    ("POST", "/v1/presence:query"): (SERVICE, frozenset({401})),
    ("POST", "/v1/friendships:batch"): (SERVICE, frozenset({401})),
    ("GET", "/v1/why"): (SERVICE, frozenset({401})),
    ("POST", "/v1/console/redrive"): (SERVICE, frozenset({401})),
    ("GET", "/v1/console"): (CONSOLE, frozenset({401, 403})),
    ("GET", "/v1/console/stream"): (CONSOLE, frozenset({401, 403})),
    ("GET", "/v1/console/why"): (CONSOLE, frozenset({401, 403})),
    ("GET", "/v1/console/ego"): (CONSOLE, frozenset({401, 403})),
    ("GET", "/v1/console/ego/flags"): (CONSOLE, frozenset({401, 403})),
    ("GET", "/v1/console/dead"): (CONSOLE, frozenset({401, 403})),
    ("GET", "/v1/console/audit"): (CONSOLE, frozenset({401, 403})),
    ("POST", "/webhooks/presence"): (WEBHOOK, frozenset({401})),
    ("GET", "/livez"): (PUBLIC, frozenset({200})),
    ("GET", "/readyz"): (PUBLIC, frozenset({200})),
    ("GET", "/metrics"): (PUBLIC, frozenset({200})),
    ("GET", "/openapi.json"): (PUBLIC, frozenset({200})),
    ("GET", "/docs"): (PUBLIC, frozenset({200})),
    ("GET", "/docs/docs.js"): (PUBLIC, frozenset({200})),
    ("GET", "/docs/docs.css"): (PUBLIC, frozenset({200})),
}
BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/v1/me/visibility"): {"invisible": True},
    ("PUT", "/v1/users/{id}"): {"name": "Mallory"},
    ("POST", "/v1/presence:query"): {"ids": list(VICTIMS)},
    ("POST", "/v1/friendships:batch"): {"pairs": [{"a": "eve", "b": "ann"}]},
    ("POST", "/webhooks/presence"): {"schema": "presence.user.channel.left", "data": []},
}
CLAIMS_TO_BE_ANN = {
    "X-User-Id": "ann",
    "X-Forwarded-User": "ann",
    "X-Remote-User": "ann",
    "Cookie": "user=ann",
}
STATE = """
MATCH (u:User) WHERE u.id IN $ids
RETURN u.id AS id, properties(u) AS properties, u:Online AS online,
       [(u)-[r]-(o:User) WHERE o.id IN $ids | [type(r), startNode(r).id, endNode(r).id, properties(r)]] AS relations
ORDER BY id
"""


async def state(graph: Graph) -> list[dict[str, Any]]:
    """Everything the graph stores about the four users and among them."""
    rows = await graph.statement(STATE, ids=list(VICTIMS))
    return [row | {"relations": sorted(row["relations"], key=str)} for row in rows]


async def populated(world: World) -> None:
    """Ann has a friend, an open request, a block and a flag, each with one of the others; Eve has none of these."""
    for user in (*VICTIMS, "eve"):
        await world.call("PUT", f"/v1/users/{user}", json={"name": f"Private {user}"})
    await world.call("PUT", "/v1/friends/ben", "ann")
    await world.call("PUT", "/v1/friends/ann", "ben")
    await world.call("PUT", "/v1/friends/ann", "cat")
    await world.call("PUT", "/v1/blocks/dan", "ann")
    await world.graph.statement("MATCH (u:User {id: 'ben'}) SET u:Online, u.last_seen = 1")


async def test_every_route_of_the_document_has_a_case(quiet: World) -> None:
    """The security scheme in the document is the one that the case expects."""
    _, document = await quiet.call("GET", "/openapi.json")
    found = {
        (method.upper(), path): next(iter((operation.get("security") or [{"public": []}])[0]))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    expected = {route: "user" if kind == OWN else kind for route, (kind, _) in CASES.items()}
    assert found == expected


@pytest.fixture
async def unlimited(graph: Graph, servers: Servers, origin: Running) -> AsyncIterator[World]:
    """Without rate limits, so that each refusal has its own reason."""
    more: dict[str, object] = {"rate_limit_address": "", "rate_limit_user": ""}
    async with without_bridge(graph, servers, origin, more) as made:
        yield made


async def test_a_stranger_reads_and_changes_nothing_of_another_user_by_any_route(unlimited: World) -> None:
    """Each route with each of the four users in its path, with the stranger's own valid token."""
    await populated(unlimited)
    before = await state(unlimited.graph)
    _, empty = await unlimited.call("GET", "/v1/friends", "eve")
    assert empty["friends"] == []
    for (method, path), (kind, allowed) in CASES.items():
        for victim in VICTIMS if "{id}" in path else ("",):
            await unlimited.graph.statement("MATCH (:User {id: 'eve'})-[r]-() DELETE r")
            status, text = await called(unlimited, method, path, victim)
            assert status in allowed, (method, path, victim, status, text[:300])
            others = {f"Private {one}" for one in VICTIMS if one != victim}
            assert not any(name in text for name in others), (method, path, text)
            if kind == OWN and method == "GET" and status == 200:
                assert not any(f'"{one}"' in text for one in VICTIMS), (method, path, text)
            assert await state(unlimited.graph) == before, (method, path, victim)


async def called(world: World, method: str, path: str, victim: str) -> tuple[int, str]:
    """One call with Eve's token; the headers that claim another user must have no effect."""
    token = mint(world.settings, "eve", time.time(), 60)
    query = {"viewer": "ann", "friend": "ben", "user": "ann"} if "why" in path or "ego" in path else {}
    wanted = {"viewer", "friend"} if "why" in path else {"user"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            world.api + path.replace("{id}", victim),
            headers=CLAIMS_TO_BE_ANN | {"Authorization": f"Bearer {token}"},
            params={name: value for name, value in query.items() if name in wanted},
            json=BODIES.get((method, path)),
        ) as response,
    ):
        return response.status, await response.text()


async def test_naming_another_in_the_query_is_refused_rather_than_ignored(quiet: World) -> None:
    """An unknown parameter is an error, so that it cannot seem to have worked."""
    await populated(quiet)
    for path in ("/v1/friends", "/v1/requests", "/v1/blocks", "/v1/suggestions"):
        for name in ("user", "me", "id", "sub", "viewer"):
            status, problem = await quiet.call("GET", f"{path}?{name}=ann", "eve")
            assert (status, problem["code"]) == (400, "invalid"), (path, name)


async def test_a_cursor_of_another_users_list_pages_through_ones_own(quiet: World) -> None:
    """A cursor is only a position in the order of ids."""
    await populated(quiet)
    await quiet.call("PUT", "/v1/friends/cat", "ann")
    _, page = await quiet.call("GET", "/v1/friends?limit=1", "ann")
    assert page["next"]
    status, mine = await quiet.call("GET", f"/v1/friends?limit=1&after={page['next']}", "eve")
    assert (status, mine["friends"]) == (200, [])


async def test_a_stranger_cannot_tell_blocked_from_not_there(quiet: World) -> None:
    """Dan, whom Ann blocked, and Eve, a stranger, get the same responses to the same calls."""
    await populated(quiet)
    for method, path in (
        ("GET", "/v1/friends/ann"),
        ("GET", "/v1/friends/ann/mutual"),
        ("PUT", "/v1/friends/ann"),
    ):
        as_blocked, as_stranger = [await quiet.call(method, path, user) for user in ("dan", "eve")]
        for _, body in (as_blocked, as_stranger):
            body.pop("requestId", None)
        assert as_blocked == as_stranger
