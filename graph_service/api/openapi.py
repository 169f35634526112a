"""The API document (OpenAPI 3.1), generated from the annotations that validate requests.

Every route lists its problems by status, with their codes. ``x-problems`` lists all codes, with what each means and
whether to retry; the page at /docs shows it.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

import graph_service
from graph_service.api import concurrency_limits, problems
from graph_service.api.routing import Route, TypedRoutes
from graph_service.errors import FriendsError, GraphUnavailable, QueueUnavailable, RateLimited
from graph_service.model.ids import BadId

REF = "#/components/schemas/{model}"
ALWAYS: tuple[type[FriendsError], ...] = (problems.HeadersTooLarge, problems.Internal)
UNROUTED: set[type[FriendsError]] = {
    problems.RouteNotFound,
    problems.MethodNotAllowed,
    problems.Malformed,
    problems.OriginRefused,
}
DATABASES: tuple[type[FriendsError], ...] = (GraphUnavailable, QueueUnavailable)
BODY: tuple[type[FriendsError], ...] = (problems.Invalid, problems.BodyTooLarge, problems.WrongMediaType)


class Part(BaseModel):
    """One part of a request that was refused."""

    field: str
    reason: str


class Problem(BaseModel):
    """An RFC 9457 problem; switch on `code`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: str
    title: str
    status: int
    detail: str
    code: str
    requestId: str  # noqa: N815 - the name in JSON
    errors: list[Part] = []
    retryAfter: int = 1  # noqa: N815 - the name in JSON


def document(tables: Iterable[TypedRoutes]) -> dict[str, Any]:
    """The document of all routes of these tables."""
    routes = [route for table in tables for route in table.routes]
    schemas, components = _schemas(routes)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route, schemas)
    secured = {route.auth.name: dict(route.auth.security) for route in routes if route.auth.name}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "friends-presence",
            "version": graph_service.__version__,
            "description": "Friends and who of them is online. Errors are problems (RFC 9457); switch on `code`.",
        },
        "paths": dict(paths),
        "components": {"schemas": components, "securitySchemes": secured},
        "x-problems": _codes(routes),
    }


def _schemas(routes: Sequence[Route]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Request and response bodies by (key, mode), and the shared definitions."""
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = [("problem", "serialization", TypeAdapter(Problem))]
    for route in routes:
        if route.parameters.body:
            inputs.append((_name(route), "validation", route.parameters.body))
        if route.parameters.response:
            inputs.append((_name(route), "serialization", route.parameters.response))
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=REF)
    return dict(found), shared.get("$defs", {})


def _operation(route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    name = _name(route)
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": [route.tag],
        "summary": route.extras.summary,
        "description": inspect.cleandoc(route.handler.__doc__ or ""),
        "parameters": _path_parameters(route) + _query_parameters(route),
        "responses": {"200": _ok(route, schemas), **_problems(route, schemas)},
    }
    if route.auth.name:
        operation["security"] = [{route.auth.name: []}]
    if route.parameters.body:
        content = {"application/json": {"schema": schemas[name, "validation"]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _name(route: Route) -> str:
    first, *rest = [
        part for part in re.split(r"\W+|_", f"{route.method.lower()} {route.handler.__name__}") if part
    ]
    return first + "".join(part.capitalize() for part in rest)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name.rstrip("_"),
            "in": "path",
            "required": True,
            "schema": adapter.json_schema(ref_template=REF),
        }
        for name, adapter in route.parameters.path.items()
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    """One parameter for each member of the query's model."""
    if route.parameters.query is None:
        return []
    schema = route.parameters.query.json_schema(by_alias=True, ref_template=REF)
    required = set(schema.get("required", ()))
    found = []
    for name, one in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": _without_null(one)}
        found.append(parameter | ({"description": one["description"]} if "description" in one else {}))
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string has no null: an optional parameter is simply absent."""
    plain = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    options = [one for one in plain.pop("anyOf", []) if one.get("type") != "null"]
    if len(options) == 1:
        plain = {key: value for key, value in plain.items() if key != "default"} | options[0]
    return plain


def _ok(route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    schema = schemas[_name(route), "serialization"] if route.parameters.response else {"type": "string"}
    return {"description": route.extras.summary, "content": {route.extras.produces: {"schema": schema}}}


def _all_problems(route: Route) -> list[type[FriendsError]]:
    parameters = route.parameters
    found = [*route.auth.problems, *route.extras.problems, *ALWAYS]
    found += [BadId] if parameters.path else []
    found += BODY if parameters.body else [problems.Invalid] if parameters.query else []
    found += DATABASES if route.auth.name else []
    found += [concurrency_limits.Overloaded] if route.extras.limiter else []
    found += [concurrency_limits.BodyTooSlow] if route.parameters.body else []
    return sorted(set(found), key=lambda one: (one.status, one.code))


def _problems(route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    """Responses by status; the codes of one status are listed in its description."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for one in _all_problems(route):
        by_status[one.status].append(one.code)
    content = {problems.MEDIA_TYPE: {"schema": schemas["problem", "serialization"]}}
    found: dict[str, Any] = {}
    for status, codes in by_status.items():
        listed = ", ".join(f"`{code}`" for code in codes)
        found[str(status)] = {"description": f"{HTTPStatus(status).phrase}: {listed}", "content": content}
        if status in {RateLimited.status, GraphUnavailable.status}:
            found[str(status)]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def _codes(routes: Sequence[Route]) -> dict[str, Any]:
    """Every code that any route may respond with."""
    every = {one for route in routes for one in _all_problems(route)} | UNROUTED
    return {
        one.code: {
            "status": one.status,
            "temporary": one.temporary,
            "message": inspect.cleandoc(one.__doc__ or ""),
        }
        for one in sorted(every, key=lambda one: (one.status, one.code))
    }
