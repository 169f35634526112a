"""Whatever a stranger calls, and however, nothing of another's is read or changed: every route of the document.

A route that is new in the document and has no line here fails: somebody must have thought of it.
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
SAID_TO_BE_ANN = {"X-User-Id": "ann", "X-Forwarded-User": "ann", "X-Remote-User": "ann", "Cookie": "user=ann"}
STATE = """
MATCH (u:User) WHERE u.id IN $ids
RETURN u.id AS id, properties(u) AS properties, u:Online AS online,
       [(u)-[r]-(o:User) WHERE o.id IN $ids | [type(r), startNode(r).id, endNode(r).id, properties(r)]] AS relations
ORDER BY id
"""


async def state(graph: Graph) -> list[dict[str, Any]]:
    """All that the graph holds of the four, as far as no stranger is in it."""
    rows = await graph.statement(STATE, ids=list(VICTIMS))
    return [row | {"relations": sorted(row["relations"], key=str)} for row in rows]


async def populated(world: World) -> None:
    """Ann has a friend, an open request, a block and a flag, each with one of the others; Eve has nobody."""
    for user in (*VICTIMS, "eve"):
        await world.call("PUT", f"/v1/users/{user}", json={"name": f"Private {user}"})
    await world.call("PUT", "/v1/friends/ben", "ann")
    await world.call("PUT", "/v1/friends/ann", "ben")
    await world.call("PUT", "/v1/friends/ann", "cat")
    await world.call("PUT", "/v1/blocks/dan", "ann")
    await world.graph.statement("MATCH (u:User {id: 'ben'}) SET u:Online, u.last_seen = 1")


async def test_every_route_of_the_document_has_a_case(quiet: World) -> None:
    """And says by its security scheme what the case expects."""
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
    """Where refused calls, however fast one after the other, are all refused for their own sake."""
    more: dict[str, object] = {"rate_limit_address": "", "rate_limit_user": ""}
    async with without_bridge(graph, servers, origin, more) as made:
        yield made


async def test_a_stranger_reads_and_changes_nothing_of_anothers_by_any_route(unlimited: World) -> None:
    """Each route with each of the four in its path, with the stranger's own good token."""
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
    """One call of Eve's; who she is is said by her token alone."""
    token = mint(world.settings, "eve", time.time(), 60)
    query = {"viewer": "ann", "friend": "ben", "user": "ann"} if "why" in path or "ego" in path else {}
    wanted = {"viewer", "friend"} if "why" in path else {"user"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            world.api + path.replace("{id}", victim),
            headers=SAID_TO_BE_ANN | {"Authorization": f"Bearer {token}"},
            params={name: value for name, value in query.items() if name in wanted},
            json=BODIES.get((method, path)),
        ) as answer,
    ):
        return answer.status, await answer.text()


async def test_naming_another_in_the_query_is_refused_rather_than_ignored(quiet: World) -> None:
    """A parameter that no route has is an error, so nobody can believe that it worked."""
    await populated(quiet)
    for path in ("/v1/friends", "/v1/requests", "/v1/blocks", "/v1/suggestions"):
        for name in ("user", "me", "id", "sub", "viewer"):
            status, problem = await quiet.call("GET", f"{path}?{name}=ann", "eve")
            assert (status, problem["code"]) == (400, "invalid"), (path, name)


async def test_a_cursor_of_anothers_list_leads_on_in_ones_own(quiet: World) -> None:
    """It is only a place in the order of ids."""
    await populated(quiet)
    await quiet.call("PUT", "/v1/friends/cat", "ann")
    _, page = await quiet.call("GET", "/v1/friends?limit=1", "ann")
    assert page["next"]
    status, mine = await quiet.call("GET", f"/v1/friends?limit=1&after={page['next']}", "eve")
    assert (status, mine["friends"]) == (200, [])


async def test_a_stranger_cannot_tell_blocked_from_not_there(quiet: World) -> None:
    """Dan, whom Ann blocked, and Eve, who is a stranger, get the same words for the same calls."""
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
