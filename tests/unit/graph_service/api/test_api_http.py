"""The API over HTTP with stand-in use cases: problems, sizes, CORS, request ids, probes, routes of another package."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from graph_service import errors
from graph_service.api.authentication import CONSOLE, PUBLIC, USER, Caller
from graph_service.api.routing import TypedRoutes
from graph_service.api.services import Readiness
from tests.support.serving import SERVICE_KEY, Served, options, serving
from tests.support.standins import StandInParts

SETTINGS = options(cors_origins="https://app.example", rate_limit_when_down="local")


@pytest.fixture
def parts() -> StandInParts:
    """What the routes call."""
    return StandInParts()


@pytest.fixture
async def api(parts: StandInParts, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """An API on a free port."""
    monkeypatch.setattr("graph_service.api.app.MAX_BODY_BYTES", 1024)
    async with serving(SETTINGS, parts) as served:
        yield served


async def test_a_response_has_camel_case_members_and_iso_times(api: Served) -> None:
    """Microseconds for `ts`, milliseconds for `lastSeen`."""
    status, body, headers = await api.call("GET", "/v1/friends", headers=api.bearer("ann"))
    assert status == 200
    assert body["friends"][0] == {
        "id": "friend-0",
        "name": "Friend 0",
        "online": True,
        "lastSeen": "2023-11-14T22:13:20.123Z",
        "since": "2020-09-13T12:26:40Z",
    }
    assert body["ts"] == "2023-11-14T22:13:20.000001Z"
    assert headers["Cache-Control"] == "no-store"


async def test_sync_returns_the_payload_and_its_clock(api: Served) -> None:
    """The same members as friends.sync."""
    _, body, _ = await api.call("GET", "/v1/sync", headers=api.bearer("ann"))
    assert body == {
        "onlineFriends": ["friend-0", "friend-2"],
        "totalFriends": 5,
        "totalOnline": 2,
        "ts": "2023-11-14T22:13:20.000000Z",
    }


async def test_pages_follow_each_other_to_the_end(api: Served) -> None:
    """`next` is null on the last page."""
    seen, after = [], None
    for _ in range(5):
        query = {"limit": "2"} | ({"after": after} if after else {})
        _, body, _ = await api.call("GET", "/v1/friends", params=query, headers=api.bearer("ann"))
        seen += [friend["id"] for friend in body["friends"]]
        if (after := body["next"]) is None:
            break
    assert seen == [f"friend-{n}" for n in range(5)]


async def test_a_cursor_is_refused_when_broken_and_with_another_filter(api: Served) -> None:
    """Each with a separate code."""
    _, body, _ = await api.call("GET", "/v1/friends", headers=api.bearer("ann"))
    for query, code in (
        ({"after": body["next"][:-1]}, "bad_cursor"),
        ({"after": body["next"], "state": "online"}, "cursor_of_another_filter"),
    ):
        assert await api.code("GET", "/v1/friends", params=query, headers=api.bearer("ann")) == (400, code)


BAD: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v1/friends?limit=0", {}, 400, "invalid"),
    ("GET", "/v1/friends?limit=many", {}, 400, "invalid"),
    ("GET", "/v1/friends?state=away", {}, 400, "invalid"),
    ("GET", "/v1/friends?stat=online", {}, 400, "invalid"),
    ("GET", "/v1/friends?limit=1&limit=2", {}, 400, "invalid"),
    ("PUT", "/v1/friends/a%20b", {}, 400, "bad_id"),
    ("PUT", "/v1/friends/" + "a" * 85, {}, 400, "bad_id"),
    ("PUT", "/v1/friends/ann-pnpres", {}, 400, "bad_id"),
    ("PUT", "/v1/friends/a%2Fb", {}, 400, "bad_id"),
    ("GET", "/nothing", {}, 404, "route_not_found"),
    ("GET", "/v1/friends/", {}, 404, "route_not_found"),
    ("PATCH", "/v1/friends", {}, 405, "method_not_allowed"),
    ("PUT", "/v1/users/ann", {"data": b"{}"}, 415, "wrong_media_type"),
    ("PUT", "/v1/users/ann", {"json": {}}, 400, "invalid"),
    ("PUT", "/v1/users/ann", {"json": {"name": 7}}, 400, "invalid"),
    ("PUT", "/v1/users/ann", {"json": {"name": ""}}, 400, "invalid"),
    ("PUT", "/v1/users/ann", {"json": {"name": "a\nb"}}, 400, "invalid"),
    ("PUT", "/v1/users/ann", {"json": {"name": "a", "nam": "b"}}, 400, "invalid"),
    ("PUT", "/v1/users/ann", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid"),
    (
        "PUT",
        "/v1/users/ann",
        {"data": b"\xff", "headers": {"Content-Type": "application/json"}},
        400,
        "invalid",
    ),
    ("PUT", "/v1/users/ann", {"json": {"name": "a" * 2000}}, 413, "body_too_large"),
    ("POST", "/v1/presence:query", {"json": {"ids": []}}, 400, "invalid"),
    ("POST", "/v1/presence:query", {"json": {"ids": ["a b"]}}, 400, "bad_id"),
    ("GET", "/v1/friends", {"headers": {"X-Long": "a" * 20_000}}, 431, "headers_too_large"),
    ("GET", "/v1/friends/" + "a" * 20_000, {}, 431, "headers_too_large"),
    ("GET", "/v1/friends?after=" + "a" * 20_000, {}, 431, "headers_too_large"),
    ("GET", "/v1/friends?after=" + "a" * 2_000, {}, 400, "invalid"),
    ("GET", "/v1/friends", {"headers": {f"X-{number}": "a" for number in range(200)}}, 400, "malformed"),
]


@pytest.mark.parametrize(("method", "path", "more", "status", "code"), BAD)
async def test_bad_input_is_a_problem_with_a_code(
    api: Served, parts: StandInParts, method: str, path: str, more: dict[str, Any], status: int, code: str
) -> None:
    """And no use case was called."""
    headers = api.bearer("ann") | api.service | more.get("headers", {})
    assert await api.code(method, path, **(more | {"headers": headers})) == (status, code)
    assert parts.any.calls == []


async def test_a_problem_names_each_wrong_part_and_carries_the_request_id(api: Served) -> None:
    """RFC 9457 members, `code`, and the id that the caller chose."""
    headers = api.bearer("ann") | {"X-Request-Id": "mine-1"}
    _, body, answered = await api.call("GET", "/v1/friends?limit=x&foo=1", headers=headers)
    assert {"type", "title", "status", "detail", "code", "requestId", "errors"} == set(body)
    assert [part["field"] for part in body["errors"]] == ["limit", "foo"]
    assert body["requestId"] == answered["X-Request-Id"] == "mine-1"


async def test_a_request_id_that_could_forge_a_log_line_is_replaced(api: Served) -> None:
    """Only short words are accepted."""
    for given in ("a b", "x" * 65, "ü"):
        _, _, headers = await api.call("GET", "/livez", headers={"X-Request-Id": given})
        assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-Id"])


async def test_what_cannot_be_read_as_http_is_a_problem_too(api: Served) -> None:
    """A header beyond all limits, and bytes that are not HTTP."""
    host, port = api.url.removeprefix("http://").split(":")
    for sent, status, code in (
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + b"a" * 200_000 + b"\r\n\r\n",
            431,
            "headers_too_large",
        ),
        (b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400, "malformed"),
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert f" {status} ".encode() in head.split(b"\r\n")[0]
        assert b"application/problem+json" in head
        assert json.loads(body)["code"] == code
        assert b"aaaaaaaa" not in body
        writer.close()


async def test_a_call_without_a_token_or_with_a_wrong_key_is_unauthorized(api: Served) -> None:
    """The token's scheme is named as a challenge; the key's has none."""
    status, _, headers = await api.call("GET", "/v1/friends")
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert await api.code("GET", "/v1/users/ann", headers={"X-Service-Key": "x"}) == (401, "key_refused")
    assert await api.code("GET", "/v1/users/ann", headers=api.bearer("ann")) == (401, "key_refused")
    assert await api.code("GET", "/v1/friends", headers=api.service) == (401, "unauthorized")


async def test_service_routes_are_closed_without_a_service_key(parts: StandInParts) -> None:
    """The setting is named; both keys are accepted during a rotation."""
    async with serving(options(service_key=None), parts) as api:
        assert await api.code("GET", "/v1/users/ann", headers={"X-Service-Key": ""}) == (403, "closed")
    async with serving(options(service_key="n" * 32, service_key_previous=SERVICE_KEY), parts) as api:
        for key in ("n" * 32, SERVICE_KEY):
            headers = {"X-Service-Key": key}
            status, _, _ = await api.call("PUT", "/v1/users/ann", json={"name": "Ann"}, headers=headers)
            assert status == 200


UNEXPECTED: list[tuple[Exception, int, str]] = [
    (errors.UserNotFound(id="ann"), 404, "user_not_found"),
    (errors.FriendLimitReached(id="ann", limit=1), 409, "friend_limit_reached"),
    (errors.GraphUnavailable(reason="gone"), 503, "graph_unavailable"),
    (errors.QueueUnavailable(reason="gone"), 503, "queue_unavailable"),
    (ZeroDivisionError("secret detail"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "code"), UNEXPECTED)
async def test_an_error_of_a_use_case_becomes_its_problem(
    api: Served, parts: StandInParts, error: Exception, status: int, code: str
) -> None:
    """By its attributes; 503 has Retry-After; an unexpected error reveals nothing."""
    parts.any.error = error
    got, body, headers = await api.call("GET", "/v1/sync", headers=api.bearer("ann"))
    assert (got, body["code"]) == (status, code)
    assert "secret" not in json.dumps(body)
    assert ("Retry-After" in headers) == (status == 503)


async def test_only_allowed_origins_may_call_from_a_page(api: Served) -> None:
    """The preflight of another origin is refused; its responses carry no CORS headers."""
    ask = {"Access-Control-Request-Method": "PUT"}
    status, _, headers = await api.call(
        "OPTIONS", "/v1/friends/ben", headers={"Origin": "https://app.example"} | ask
    )
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, "https://app.example")
    assert "PUT" in headers["Access-Control-Allow-Methods"]
    refused = await api.code("OPTIONS", "/v1/friends/ben", headers={"Origin": "https://evil.example"} | ask)
    assert refused == (403, "origin_refused")
    _, _, headers = await api.call("GET", "/livez", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Vary"] == "Origin"
    _, _, headers = await api.call("GET", "/v1/friends", headers={"Origin": "https://app.example"})
    assert headers["Access-Control-Allow-Origin"] == "https://app.example", "problems are readable too"


async def test_readiness_names_what_does_not_respond(parts: StandInParts) -> None:
    """Alive stays alive; stopping is not ready."""

    async def fine() -> None:
        """Answers."""

    async def silent() -> None:
        raise errors.GraphUnavailable(reason="gone")

    parts.readiness = Readiness(checks={"graph": silent, "queue": fine})
    async with serving(options(), parts) as api:
        status, body, headers = await api.call("GET", "/readyz")
        assert (status, body["code"], "Retry-After" in headers) == (503, "not_ready", True)
        assert "graph" in body["detail"]
        assert "queue" not in body["detail"]
        parts.readiness.checks = {"graph": fine}
        assert (await api.call("GET", "/readyz"))[0] == 200
        parts.readiness.stopping = True
        assert await api.code("GET", "/readyz") == (503, "not_ready")
        assert (await api.call("GET", "/livez"))[0] == 200


async def test_metrics_count_by_route_template_and_never_by_id(api: Served) -> None:
    """Ids of users would be both private and unbounded."""
    await api.call("PUT", "/v1/friends/somebody-private", headers=api.bearer("ann"))
    await api.call("GET", "/private-path")
    _, text, headers = await api.call("GET", "/metrics")
    assert 'route="/v1/friends/{id}",status="200"' in text
    assert 'method="any",route="none",status="404"' in text
    assert "private" not in text
    assert headers["Content-Type"].startswith("text/plain")


async def test_head_is_served_where_get_is(api: Served) -> None:
    """Without a body."""
    status, body, headers = await api.call("HEAD", "/v1/friends", headers=api.bearer("ann"))
    assert (status, body or "") == (200, "")
    assert int(headers["Content-Length"]) > 100


async def test_the_page_works_offline_under_a_strict_policy(api: Served) -> None:
    """Everything it loads is from this server, and nothing else is allowed."""
    _, html, headers = await api.call("GET", "/docs")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert loaded == ["/docs/docs.css", "/docs/docs.js"]
    for path in loaded:
        status, text, _ = await api.call("GET", path)
        assert status == 200
        assert "://" not in text
    assert "style=" not in html
    assert "innerHTML" not in (await api.call("GET", "/docs/docs.js"))[1]


async def test_another_package_adds_routes_to_the_same_application_and_document(parts: StandInParts) -> None:
    """With the same authentication, validation and problems; a stream response is passed through."""
    more = TypedRoutes("more")

    @more.get("/v1/echo", auth=USER, summary="Who calls")
    async def echo(caller: Caller) -> dict[str, str]:
        """The caller."""
        return {"me": caller.id}

    @more.get("/v1/stream", auth=PUBLIC, summary="A stream", produces="text/event-stream")
    async def stream(request: web.Request) -> web.StreamResponse:
        """Two lines, then a failure that can no longer become a problem."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        raise ZeroDivisionError

    @more.get("/v1/operator", auth=CONSOLE, summary="For the console")
    async def operator() -> dict[str, str]:
        """Nothing."""
        return {}

    async with serving(options(console_key="c" * 32), parts, [more]) as api:
        assert (await api.call("GET", "/v1/echo", headers=api.bearer("ann")))[1] == {"me": "ann"}
        assert await api.code("GET", "/v1/operator") == (401, "key_refused")
        assert (await api.call("GET", "/v1/operator", headers={"X-Console-Key": "c" * 32}))[0] == 200
        _, document, _ = await api.call("GET", "/openapi.json")
        assert {"/v1/echo", "/v1/stream", "/v1/friends"} <= set(document["paths"])
        with pytest.raises(Exception, match=r"(?i)payload|closed|disconnect"):
            await api.call("GET", "/v1/stream")


def test_a_handler_that_nothing_can_fill_is_found_at_import() -> None:
    """Not at its first call."""
    routes = TypedRoutes("wrong")

    async def handler(whatever: int) -> dict[str, str]:
        """Wrong."""
        return {}

    with pytest.raises(TypeError, match="handler"):
        routes.get("/wrong", auth=PUBLIC, summary="wrong")(handler)
