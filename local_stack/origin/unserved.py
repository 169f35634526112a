"""Endpoints of PubNub that this origin does not serve: status 501, in the shape of their family.

They are legacy Access Manager, mobile push, files, history v2, App Context v1, subscribe v1.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from local_stack.origin.reply import Family, reply
from local_stack.origin.router import Handler

STATUS = 501


def _text(what: str) -> str:
    return f"{what} is not served by this local origin"


def _object(what: str, service: str) -> Handler:
    async def response(_: web.Request) -> web.StreamResponse:
        body = {"message": _text(what), "error": True, "service": service, "status": STATUS}
        return reply(body, STATUS, Family.ACCESS)

    return response


def _nested(what: str, source: str) -> Handler:
    async def response(_: web.Request) -> web.StreamResponse:
        body = {"status": STATUS, "error": {"message": _text(what), "source": source}}
        return reply(body, STATUS, Family.OBJECTS)

    return response


def _listed(what: str) -> Handler:
    async def response(_: web.Request) -> web.StreamResponse:
        return reply([0, _text(what), 0], STATUS, Family.HISTORY)

    return response


def _flat(what: str) -> Handler:
    async def response(_: web.Request) -> web.StreamResponse:
        return reply({"error": _text(what)}, STATUS)

    return response


_UNSERVED: list[tuple[str, Handler]] = [
    ("/v2/auth/grant/sub-key/{sub}", _object("Access Manager v2", "Access Manager")),
    ("/v2/auth/audit/sub-key/{sub}", _object("Access Manager v2", "Access Manager")),
    ("/v1/auth/{:grant|audit}/sub-key/{sub}", _object("Access Manager v1", "Access Manager")),
    ("/v1/push/sub-key/{sub}/{rest:*}", _flat("Mobile push")),
    ("/v2/push/sub-key/{sub}/{rest:*}", _flat("Mobile push")),
    ("/v1/files/{sub}/{rest:*}", _nested("File sharing", "files")),
    ("/v1/files/publish-file/{pub}/{sub}/{rest:*}", _listed("File sharing")),
    ("/v2/history/sub-key/{sub}/{rest:*}", _listed("History v2")),
    ("/v1/objects/{sub}/{rest:*}", _nested("App Context v1", "objects")),
    ("/subscribe/{sub}/{rest:*}", _listed("Subscribe v1")),
]


def _routes() -> Iterator[web.RouteDef]:
    for path, handler in _UNSERVED:
        for method in ("GET", "POST", "DELETE", "PATCH"):
            yield web.route(method, path, handler)


ROUTES = list(_routes())
