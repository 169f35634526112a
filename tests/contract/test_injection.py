"""Text that would be a query, a template or a path somewhere else is only text here: in names, ids, cursors and filters."""

from __future__ import annotations

from urllib.parse import quote

from graph_service.graph.driver import Graph
from graph_service.model import cursor
from tests.support.api import Api

NAMES = (
    "'}) DETACH DELETE n //",
    '"}) MATCH (n) DETACH DELETE n //',
    "') RETURN 1 UNION MATCH (n) DETACH DELETE n RETURN 1 //",
    "`; MATCH (n) SET n:Admin //",
    "\\u0027}) DETACH DELETE n //",
    "$id {{7*7}} ${7*7} #{7*7} %s %(id)s",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
)
IDS = (
    "'})DETACH",
    '"})--',
    "`id`",
    "$id",
    "{{7}}",
    "${x}",
    "%27",
    "a'OR'1'='1",
    "a;b",
    "<b>",
    "..a",
    "a?b#c",
)


async def shape(graph: Graph) -> tuple[int, set[str]]:
    """The number of our nodes, and their labels."""
    rows = await graph.statement("MATCH (n) WHERE n:User OR n:Outbox RETURN labels(n) AS labels")
    return len(rows), {label for row in rows for label in row["labels"]}


async def test_names_are_stored_and_returned_unchanged(api: Api, graph: Graph) -> None:
    """Every list with names returns these; nothing else in the graph has changed."""
    await api.create_users("ann")
    for number, name in enumerate(NAMES):
        status, _ = await api.call("PUT", f"/v1/users/u{number}", service=True, json={"name": name})
        assert status == 200
        await api.befriend("ann", f"u{number}")
    _, page = await api.call("GET", "/v1/friends", "ann")
    assert [one["name"] for one in page["friends"]] == list(NAMES)
    _, export = await api.call("GET", "/v1/users/u0", service=True)
    assert export["stores"]["graph"]["properties"]["name"] == NAMES[0]
    count, labels = await shape(graph)
    assert labels == {"User", "Outbox"}
    assert count >= len(NAMES) + 1


async def test_ids_are_parameters_wherever_they_occur(api: Api, graph: Graph) -> None:
    """In the path, in bodies and in responses; each is one user and no other."""
    await api.create_users("ann")
    for user in IDS:
        path = quote(user, safe="")
        assert (await api.call("PUT", f"/v1/users/{path}", service=True, json={"name": "x"}))[0] == 200, user
        assert (await api.call("PUT", f"/v1/friends/{path}", "ann"))[0] == 200
        assert (await api.call("PUT", "/v1/friends/ann", user))[0] == 200
    _, page = await api.call("GET", "/v1/friends", "ann")
    assert {one["id"] for one in page["friends"]} == set(IDS)
    _, asked = await api.call("POST", "/v1/presence:query", service=True, json={"ids": list(IDS)})
    assert {one["id"] for one in asked["presence"]} == set(IDS)
    for user in IDS:
        await api.call("DELETE", f"/v1/users/{quote(user, safe='')}", service=True)
    rows = await graph.statement("MATCH (u:User) RETURN u.id AS id")
    assert [row["id"] for row in rows] == ["ann"]


async def test_a_forged_cursor_is_only_a_position_in_the_callers_list(api: Api, graph: Graph) -> None:
    """There is no secret in it, so it is forged here."""
    await api.create_users("ann", "ben")
    await api.befriend("ann", "ben")
    before = await shape(graph)
    for text in (*NAMES, *IDS):
        forged = cursor.encode(text, "friends", "all")
        status, page = await api.call("GET", f"/v1/friends?after={quote(forged)}", "ann")
        assert (status, page.get("code")) in {(200, None), (400, "cursor_of_another_filter")}
        for one in (text, text * 50):
            status, problem = await api.call("GET", f"/v1/friends?after={quote(one)}", "ann")
            assert status == 400
            assert problem["code"] in {"bad_cursor", "invalid"}
        status, problem = await api.call("GET", f"/v1/friends?state={quote(text)}", "ann")
        assert (status, problem["code"]) == (400, "invalid")
    assert await shape(graph) == before
