"""Friends over HTTP, on real Neo4j and Valkey."""

from __future__ import annotations

from tests.support.api import Api


async def test_two_users_become_friends_over_http(api: Api) -> None:
    """Request, see the request, accept by requesting too, see each other, end it."""
    await api.create_users("ann", "ben")
    status, asked = await api.call("PUT", "/v1/friends/ben", user="ann")
    assert (status, asked["state"], asked["changed"]) == (200, "requested", True)
    _, waiting = await api.call("GET", "/v1/requests?direction=in", user="ben")
    assert [one["id"] for one in waiting["requests"]] == ["ann"]
    _, accepted = await api.call("PUT", "/v1/friends/ann", user="ben")
    assert (accepted["state"], accepted["changed"]) == ("friends", True)
    for me, other in (("ann", "ben"), ("ben", "ann")):
        _, page = await api.call("GET", "/v1/friends", user=me)
        assert [(one["id"], one["name"], one["online"]) for one in page["friends"]] == [
            (other, other.title(), False)
        ]
    _, repeated = await api.call("PUT", "/v1/friends/ann", user="ben")
    assert repeated["changed"] is False
    status, ended = await api.call("DELETE", "/v1/friends/ann", user="ben")
    assert (status, ended["changed"]) == (200, True)


async def test_over_http_a_block_looks_like_an_unfriend_to_the_blocked_user(api: Api) -> None:
    """Status, body and lists are the same byte for byte, names aside."""
    await api.create_users("ann", "ben", "cat")
    await api.befriend("ben", "ann", "cat")
    await api.call("PUT", "/v1/blocks/ben", user="ann")
    await api.call("DELETE", "/v1/friends/ben", user="cat")
    for path in ("/v1/friends/{}", "/v1/friends/{}/mutual"):
        blocked = await api.call("GET", path.format("ann"), user="ben")
        unfriended = await api.call("GET", path.format("cat"), user="ben")
        assert blocked[0] == unfriended[0] == 404
        assert blocked[1]["code"] == unfriended[1]["code"]
    for method, path in (
        ("DELETE", "/v1/friends/{}"),
        ("PUT", "/v1/friends/{}"),
        ("DELETE", "/v1/requests/{}"),
    ):
        blocked = await api.call(method, path.format("ann"), user="ben")
        unfriended = await api.call(method, path.format("cat"), user="ben")
        assert str(blocked).replace("ann", "X") == str(unfriended).replace("cat", "X")


async def test_readiness_is_reported(api: Api) -> None:
    """Alive and ready with both databases."""
    assert await api.call("GET", "/livez") == (200, {"status": "alive"})
    assert await api.call("GET", "/readyz") == (200, {"status": "ready"})
