"""Every problem code of the API document is reached by a request, on real Neo4j and Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from graph_service import errors
from graph_service.api.concurrency_limits import BodyTooSlow, Overloaded
from graph_service.friends.suggestions import SuggestionsBusy
from tests.conftest import Servers
from tests.support.api import OPTIONS, Api, running_api
from tests.support.serving import Served, options, serving
from tests.support.standins import StandInParts


class Reached:
    """The codes reached so far, each with its status."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    async def by(self, api: Api | Served, method: str, path: str, **more: Any) -> None:
        """Make a call that must end in a problem."""
        status, body, *_ = await api.call(method, path, **more)
        assert status >= 400, (method, path, status, body)
        assert body["status"] == status
        self.codes[body["code"]] = status


async def of_input(reached: Reached, api: Api) -> None:
    """Wrong requests."""
    as_ann: dict[str, Any] = {"user": "ann"}
    as_service: dict[str, Any] = {"service": True}
    _, page = await api.call("GET", "/v1/friends?limit=1", **as_ann)
    await reached.by(api, "GET", "/v1/friends?limit=0", **as_ann)
    await reached.by(api, "GET", "/v1/friends?after=nonsense", **as_ann)
    await reached.by(api, "GET", f"/v1/friends?state=online&after={page['next']}", **as_ann)
    await reached.by(api, "PUT", "/v1/friends/a%20b", **as_ann)
    await reached.by(api, "PUT", "/v1/friends/ann", **as_ann)
    await reached.by(api, "GET", "/v1/friends", headers={"X-Long": "x" * 20_000}, **as_ann)
    await reached.by(api, "PUT", "/v1/users/ann", data=b"x", **as_service)
    await reached.by(api, "PUT", "/v1/users/ann", json={"name": "x" * 2**21}, **as_service)
    await reached.by(api, "GET", "/nothing")
    await reached.by(api, "PATCH", "/v1/friends")
    await reached.by(api, "GET", "/v1/friends")
    await reached.by(api, "GET", "/v1/users/ann")
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    await reached.by(api, "OPTIONS", "/v1/friends", headers=preflight)


async def of_rules(reached: Reached, api: Api) -> None:
    """What the rules of friendship refuse; the API allows one friend and one pending request."""
    await reached.by(api, "PUT", "/v1/friends/ghost", user="ann")
    await reached.by(api, "GET", "/v1/friends/dan", user="ann")
    await api.call("PUT", "/v1/blocks/dan", user="ann")
    await reached.by(api, "PUT", "/v1/friends/dan", user="ann")
    await api.call("PUT", "/v1/friends/eve", user="dan")
    await reached.by(api, "PUT", "/v1/friends/fay", user="dan")
    await api.befriend("gus", "hal")
    await api.call("PUT", "/v1/friends/gus", user="eve")
    await reached.by(api, "PUT", "/v1/friends/eve", user="gus")


async def of_options(reached: Reached, start: Callable[..., Any]) -> None:
    """What depends on settings and on databases."""
    await reached.by(await start(service_key=None), "GET", "/v1/users/ann")
    limited = await start(rate_limit_address="1/minute")
    await limited.call("GET", "/v1/friends")
    await reached.by(limited, "GET", "/v1/friends")
    unknown = await start(jwt_secret=None, jwt_jwks_url="http://127.0.0.1:1/keys")
    bearer = (await start()).bearer("ann")
    await reached.by(unknown, "GET", "/v1/friends", headers=bearer)
    away = (errors.GraphUnavailable(reason="x"), errors.QueueUnavailable(reason="x"), ValueError("x"))
    busy = (Overloaded(retry_after=1), SuggestionsBusy(retry_after=1), BodyTooSlow(seconds=1))
    for error in (*away, *busy):
        parts = StandInParts()
        parts.any.error = error
        await reached.by(await start(parts), "GET", "/v1/sync", headers=bearer)
    stopping = StandInParts()
    stopping.readiness.stopping = True
    await reached.by(await start(stopping), "GET", "/readyz")


async def unreadable(api: Api) -> bytes:
    """The response to what is not HTTP."""
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"nonsense\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


@pytest.fixture
async def strict(servers: Servers, api: Api) -> AsyncIterator[Api]:
    """An API over the same empty graph that allows one friend and one open request."""
    async with running_api(servers.settings(**(OPTIONS | {"friend_limit": 1, "pending_limit": 1}))) as strict:
        yield strict


async def test_every_code_of_the_document_is_reached(api: Api, strict: Api) -> None:
    """And with its status in the document; a code that no request can reach would be noise."""
    reached = Reached()
    await api.create_users("ann", "ben", "cat", "dan", "eve", "fay", "gus", "hal")
    await api.befriend("ann", "ben", "cat")
    await of_input(reached, api)
    await of_rules(reached, strict)
    async with AsyncExitStack() as stack:

        async def start(parts: StandInParts | None = None, **more: Any) -> Served:
            """An API with other options over stand-ins."""
            return await stack.enter_async_context(serving(options(**more), parts or StandInParts()))

        await of_options(reached, start)
    assert b'"code": "malformed"' in await unreadable(api)
    reached.codes["malformed"] = 400
    _, document = await api.call("GET", "/openapi.json")
    assert reached.codes == {code: one["status"] for code, one in document["x-problems"].items()}
