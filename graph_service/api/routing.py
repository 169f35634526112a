"""Routes whose annotations validate what comes in, shape what goes out, and become the API document.

A handler says by its annotations what it wants: ``web.Request``, the scheme's caller, path variables by name (a
trailing underscore set aside), a model called ``query``, a model called ``body``. What it returns is written as JSON, unless it is a response already.
Knows pydantic and aiohttp; knows no route of its own, no use case and no way to know a caller.

::

    routes = TypedRoutes("friends")

    @routes.get("/v1/friends/{id}", auth=USER, summary="One friend")
    async def friend(request: web.Request, caller: Caller, id_: UserId) -> Friend: ...
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, get_type_hints

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from graph_service.api.concurrency_limits import CONCURRENCY_LIMITS, SLOT
from graph_service.api.problems import Invalid, WrongMediaType, refused
from graph_service.errors import FriendsError

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""On every JSON answer: they are about people, so nobody in between keeps them."""


@dataclass(frozen=True)
class Scheme:
    """One way of being admitted to a route."""

    name: str
    """As in the API document; empty for a public route."""
    security: Mapping[str, str]
    """The OpenAPI security scheme object."""
    caller: type
    """What `admit` returns; a handler's parameter with this annotation receives it."""
    admit: Callable[[web.Request], Awaitable[object]]
    """Returns the caller, or raises the `FriendsError` that says why not."""
    problems: tuple[type[FriendsError], ...] = ()
    """What `admit` may raise, for the API document."""


@dataclass(frozen=True)
class Extras:
    """What a route adds to its annotations for the API document."""

    summary: str
    problems: tuple[type[FriendsError], ...] = ()
    produces: str = "application/json"
    """The media type of a handler that makes its own response."""
    limiter: str = "api"
    """Which room its calls are let into while much is asked; none when empty."""


@dataclass(frozen=True)
class Route:
    """A handler, compiled: given a request it answers with a response."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    auth: Scheme
    tag: str
    extras: Extras
    wants: Wants = field(repr=False)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Let the call in where there is room, then answer it."""
        if not self.extras.limiter:
            return await self._answer(request)
        async with request.app[CONCURRENCY_LIMITS].slot(self.extras.limiter) as request[SLOT]:
            return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Admit the caller, validate, handle, write."""
        caller = await self.auth.admit(request)
        wants = self.wants
        given: dict[str, Any] = dict.fromkeys(wants.caller, caller)
        given.update(dict.fromkeys(wants.request, request))
        for name, adapter in wants.path.items():
            variable = name.rstrip("_")
            given[name] = _checked(adapter.validate_python, request.match_info[variable], variable)
        if wants.query:
            given["query"] = _query(wants.query, request)
        if wants.body:
            given["body"] = await _body(wants.body, request)
        answer = await self.handler(**given)
        if wants.answer is None:
            return answer  # type: ignore[no-any-return]
        text = wants.answer.dump_json(answer, by_alias=True)
        return web.Response(body=text, content_type="application/json", headers=HEADERS)


@dataclass(frozen=True)
class Wants:
    """What a handler's annotations ask for."""

    request: tuple[str, ...] = ()
    caller: tuple[str, ...] = ()
    path: Mapping[str, TypeAdapter[Any]] = field(default_factory=dict)
    query: TypeAdapter[Any] | None = None
    body: TypeAdapter[Any] | None = None
    answer: TypeAdapter[Any] | None = None
    """None when the handler returns a response of its own."""


class TypedRoutes:
    """A table of typed routes; several tables make one application and one API document."""

    def __init__(self, tag: str, limiter: str = "api") -> None:
        self.tag = tag
        self.limiter = limiter
        self.routes: list[Route] = []

    def get(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """Read without changing anything; answers HEAD as well."""
        return self.add("GET", path, auth, self._extras(extras))

    def put(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """Make it so; repeating changes nothing."""
        return self.add("PUT", path, auth, self._extras(extras))

    def post(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """Do something with the body."""
        return self.add("POST", path, auth, self._extras(extras))

    def delete(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """Make it gone; repeating changes nothing."""
        return self.add("DELETE", path, auth, self._extras(extras))

    def add(self, method: str, path: str, auth: Scheme, extras: Extras) -> Callable[[Handler], Handler]:
        """A decorator that adds its handler to the table. `auth` is never optional: no route is open by omission."""

        def take(handler: Handler) -> Handler:
            wants = _wants(handler, set(re.findall(r"{(\w+)}", path)), auth)
            self.routes.append(Route(method, path, handler, auth, self.tag, extras, wants))
            return handler

        return take

    def _extras(self, given: Mapping[str, Any]) -> Extras:
        """A stream stays for as long as it likes, so it takes up no place."""
        stream = given.get("produces") == "text/event-stream"
        return Extras(**{"limiter": "" if stream else self.limiter, **given})

    def mount(self, app: web.Application) -> None:
        """Add every route to an application."""
        for route in self.routes:
            # By itself aiohttp would take no braces for a variable, and ids may have them.
            path = re.sub(r"{(\w+)}", r"{\1:[^/]+}", route.path)
            app.router.add_route(route.method, path, route.respond)
            if route.method == "GET" and route.wants.answer is not None:
                app.router.add_route("HEAD", path, route.respond)


def _wants(handler: Callable[..., Any], path: set[str], auth: Scheme) -> Wants:
    """Compile annotations; a parameter that nothing can fill is a mistake found at import."""
    hints = get_type_hints(handler, include_extras=True)
    answer = hints.pop("return")
    variables = {name for name in hints if name.rstrip("_") in path}
    known = {name for name, hint in hints.items() if hint in (web.Request, auth.caller)} | {"query", "body"}
    if set(hints) - known - variables or len(variables) < len(path):
        raise TypeError(f"{handler.__name__}: {sorted(hints)} do not fit {sorted(path)} and its caller")
    ready = isinstance(answer, type) and issubclass(answer, web.StreamResponse)
    return Wants(
        request=tuple(name for name, hint in hints.items() if hint is web.Request),
        caller=tuple(name for name, hint in hints.items() if hint is auth.caller),
        path={name: TypeAdapter(hints[name]) for name in variables},
        query=TypeAdapter(hints["query"]) if "query" in hints else None,
        body=TypeAdapter(hints["body"]) if "body" in hints else None,
        answer=None if ready else TypeAdapter(answer),
    )


def _checked(validate: Callable[[Any], Any], given: object, where: str = "") -> Any:
    try:
        return validate(given)
    except ValidationError as error:
        raise refused(error, where) from None


def _query(adapter: TypeAdapter[Any], request: web.Request) -> Any:
    """The query as its model; a name given twice is refused, since which one counts would be a guess."""
    given = dict(request.query)
    if len(given) != len(request.query):
        raise Invalid(errors=[{"field": "query", "reason": "a name is given more than once"}])
    return _checked(adapter.validate_python, given)


async def _body(adapter: TypeAdapter[Any], request: web.Request) -> Any:
    """The body as its model, by JSON's own types: "1" is not a number."""
    if request.content_type != "application/json":
        raise WrongMediaType(given=request.headers.get("Content-Type", "nothing")[:100])
    body = await request[SLOT].read_body(request, request.client_max_size)
    return _checked(partial(adapter.validate_json, strict=True), body, "body")
