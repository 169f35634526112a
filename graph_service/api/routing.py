"""Typed routes: a handler's annotations validate the request, serialize the response and become the API document.

A handler's parameters are recognized by annotation or name: ``web.Request``, the caller of its authentication scheme,
path variables by name (without a trailing underscore), a model called ``query``, a model called ``body``. What it
returns is serialized as JSON, unless it is a response already.

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
"""On every JSON response: it is personal data, so no proxy may cache it."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """An authentication scheme of a route."""

    name: str
    """In the API document; empty for a public route."""
    security: Mapping[str, str]
    """The OpenAPI security scheme object."""
    caller: type
    """The type that `authenticate` returns; a handler's parameter with this annotation receives it."""
    authenticate: Callable[[web.Request], Awaitable[object]]
    """Returns the caller, or raises the `FriendsError` that says why it is refused."""
    problems: tuple[type[FriendsError], ...] = ()
    """What `authenticate` may raise, for the API document."""


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a route declares beyond its annotations."""

    summary: str
    problems: tuple[type[FriendsError], ...] = ()
    produces: str = "application/json"
    """The media type of a handler that builds its response itself."""
    limiter: str = "api"
    """The concurrency limit of its requests (`concurrency_limits.py`); none where empty."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A compiled handler: request in, response out."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    auth: Scheme
    tag: str
    extras: Extras
    parameters: Parameters = field(repr=False)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Process the request under its concurrency limit."""
        if not self.extras.limiter:
            return await self._process(request)
        async with request.app[CONCURRENCY_LIMITS].slot(self.extras.limiter) as request[SLOT]:
            return await self._process(request)

    async def _process(self, request: web.Request) -> web.StreamResponse:
        """Authenticate, validate, handle, serialize."""
        caller = await self.auth.authenticate(request)
        parameters = self.parameters
        arguments: dict[str, Any] = dict.fromkeys(parameters.caller, caller)
        arguments.update(dict.fromkeys(parameters.request, request))
        for name, adapter in parameters.path.items():
            variable = name.rstrip("_")
            arguments[name] = _validated(adapter.validate_python, request.match_info[variable], variable)
        if parameters.query:
            arguments["query"] = _query(parameters.query, request)
        if parameters.body:
            arguments["body"] = await _body(parameters.body, request)
        result = await self.handler(**arguments)
        if parameters.response is None:
            return result  # type: ignore[no-any-return]
        text = parameters.response.dump_json(result, by_alias=True)
        return web.Response(body=text, content_type="application/json", headers=HEADERS)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """A handler's parameters and response, from its annotations."""

    request: tuple[str, ...] = ()
    caller: tuple[str, ...] = ()
    path: Mapping[str, TypeAdapter[Any]] = field(default_factory=dict)
    query: TypeAdapter[Any] | None = None
    body: TypeAdapter[Any] | None = None
    response: TypeAdapter[Any] | None = None
    """None where the handler builds its response itself."""


class TypedRoutes:
    """A table of typed routes. Several tables make one application and one API document."""

    def __init__(self, tag: str, *, limiter: str = "api") -> None:
        self.tag = tag
        self.limiter = limiter
        self.routes: list[Route] = []

    def get(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """A route that changes nothing; responds to HEAD as well."""
        return self.add("GET", path, auth, self._extras(extras))

    def put(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """An idempotent route that creates or replaces."""
        return self.add("PUT", path, auth, self._extras(extras))

    def post(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """A route that acts on its body."""
        return self.add("POST", path, auth, self._extras(extras))

    def delete(self, path: str, *, auth: Scheme, **extras: Any) -> Callable[[Handler], Handler]:
        """An idempotent route that removes."""
        return self.add("DELETE", path, auth, self._extras(extras))

    def add(self, method: str, path: str, auth: Scheme, extras: Extras) -> Callable[[Handler], Handler]:
        """A decorator that adds its handler to the table. `auth` is required: no route is public by omission."""

        def register(handler: Handler) -> Handler:
            parameters = _parameters(handler, set(re.findall(r"{(\w+)}", path)), auth)
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    auth=auth,
                    tag=self.tag,
                    extras=extras,
                    parameters=parameters,
                )
            )
            return handler

        return register

    def _extras(self, extras: Mapping[str, Any]) -> Extras:
        """Without a concurrency limit for a stream, which stays open for as long as its client likes."""
        stream = extras.get("produces") == "text/event-stream"
        return Extras(**{"limiter": "" if stream else self.limiter, **extras})

    def mount(self, app: web.Application) -> None:
        """Add every route to an application."""
        for route in self.routes:
            # aiohttp's default pattern of a variable excludes braces, which ids may contain.
            path = re.sub(r"{(\w+)}", r"{\1:[^/]+}", route.path)
            app.router.add_route(route.method, path, route.respond)
            if route.method == "GET" and route.parameters.response is not None:
                app.router.add_route("HEAD", path, route.respond)


def _parameters(handler: Callable[..., Any], path: set[str], auth: Scheme) -> Parameters:
    """Compile annotations. A parameter that nothing can fill raises `TypeError` at import."""
    hints = get_type_hints(handler, include_extras=True)
    returned = hints.pop("return")
    variables = {name for name in hints if name.rstrip("_") in path}
    known = {name for name, hint in hints.items() if hint in (web.Request, auth.caller)} | {"query", "body"}
    if set(hints) - known - variables or len(variables) < len(path):
        raise TypeError(f"{handler.__name__}: {sorted(hints)} do not fit {sorted(path)} and its caller")
    is_response = isinstance(returned, type) and issubclass(returned, web.StreamResponse)
    return Parameters(
        request=tuple(name for name, hint in hints.items() if hint is web.Request),
        caller=tuple(name for name, hint in hints.items() if hint is auth.caller),
        path={name: TypeAdapter(hints[name]) for name in variables},
        query=TypeAdapter(hints["query"]) if "query" in hints else None,
        body=TypeAdapter(hints["body"]) if "body" in hints else None,
        response=None if is_response else TypeAdapter(returned),
    )


def _validated(validate: Callable[[Any], Any], value: object, where: str = "") -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise refused(error, where) from None


def _query(adapter: TypeAdapter[Any], request: web.Request) -> Any:
    """The query as its model. A repeated name is refused, since which value counts would be a guess."""
    query = dict(request.query)
    if len(query) != len(request.query):
        raise Invalid(errors=[{"field": "query", "reason": "a name occurs more than once"}])
    return _validated(adapter.validate_python, query)


async def _body(adapter: TypeAdapter[Any], request: web.Request) -> Any:
    """The body as its model, with JSON's types: "1" is not a number."""
    if request.content_type != "application/json":
        raise WrongMediaType(media_type=request.headers.get("Content-Type", "nothing")[:100])
    body = await request[SLOT].read_body(request, request.client_max_size)
    return _validated(partial(adapter.validate_json, strict=True), body, "body")
