"""App Context over HTTP: users, channels, memberships and members (`/v2/objects/...`).

Paths, parameters, response shapes and error bodies (PubNub docs, recorded replies); the state is in `objects_store`.
`If-Match` is only used on a change of a user or channel: the Python client repeats it on every later request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from local_stack.origin import objects_page, permission
from local_stack.origin.access import Need
from local_stack.origin.call import CALL, Call
from local_stack.origin.envelope import Envelope
from local_stack.origin.envelope import Kind as Sent
from local_stack.origin.objects_body import (
    Detail,
    InputError,
    checked_id,
    entity_changes,
    membership_changes,
)
from local_stack.origin.objects_filter import FilterError, SortError, filter_test, sort_order, sort_records
from local_stack.origin.objects_page import PageError
from local_stack.origin.objects_store import (
    MEMBERS,
    Event,
    Fields,
    Kind,
    MissingReferenceError,
    ModifiedError,
    NotFoundError,
    ObjectStore,
    Records,
    shown,
)
from local_stack.origin.operations import needs
from local_stack.origin.reply import Family, dumps, reply

Serve = Callable[[Call], Awaitable[web.Response]]
NO_RIGHT = "Supplied authorization key does not have the permissions required to perform this operation."
_NOUN: dict[Kind, str] = {"uuid": "user", "channel": "channel"}
_PART: dict[Kind, str] = {"uuid": "uuid", "channel": "channel"}


class RefusedError(Exception):
    """Access Manager rejects the request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _responses(serve: Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler around `serve` that formats errors as this family does."""

    async def handler(request: web.Request) -> web.Response:
        try:
            return await serve(request[CALL])
        except tuple(_ERRORS) as error:
            return _ERRORS[type(error)](error)

    return handler


def _error(status: int, message: str, **more: Any) -> web.Response:
    body = {"status": status, "error": {"message": message, "source": "objects", **more}}
    return reply(body, status, Family.OBJECTS)


def _invalid(details: Sequence[Detail]) -> web.Response:
    entries = [
        {"message": d.message, "location": d.location, "locationType": d.location_type} for d in details
    ]
    return _error(400, "Request payload contained invalid input.", details=entries)


_ERRORS: dict[type[Exception], Callable[[Any], web.Response]] = {
    NotFoundError: lambda _: _error(404, "Requested object was not found."),
    ModifiedError: lambda error: _error(412, str(error)),
    RefusedError: lambda error: _error(error.status, str(error)),
    InputError: lambda error: _invalid(error.details),
    PageError: lambda error: _invalid([Detail(str(error), error.location, "query")]),
    FilterError: lambda error: _invalid([Detail(str(error), "filter", "query")]),
    SortError: lambda error: _invalid([Detail(str(error), "sort", "query")]),
    MissingReferenceError: lambda _: _invalid([Detail("User or channel does not exist.", "set")]),
}


async def _check(call: Call, wanted: list[Need]) -> None:
    refusal = permission.refusal(call, wanted, await call.request.read())
    if refusal is not None:
        raise RefusedError(refusal.status, refusal.message if refusal.payload is None else NO_RIGHT)


def _id(call: Call, kind: Kind) -> str:
    return checked_id(call.name(_PART[kind]), kind)


def _named(kind: Kind, *names: str) -> dict[str, list[str]]:
    return {"uuids" if kind == "uuid" else "channels": list(names)}


def _objects(call: Call) -> ObjectStore:
    """The keyset's App Context, with the current value of the integrity setting."""
    call.keyset.objects.integrity = call.keyset.settings.referential_integrity
    return call.keyset.objects


def _publish_events(call: Call, events: list[Event]) -> None:
    """Publish App Context events. Both ends of a membership get the same data, so it is serialized once."""
    serialized, text = None, ""
    for event in events:
        if event.data["type"] not in call.keyset.settings.objects_events:
            continue
        if event.data is not serialized:
            serialized, text = event.data, dumps(event.data)
        call.keyset.publish(Envelope(channel=event.channel, payload=event.data, text=text, kind=Sent.OBJECTS))


def _listed(call: Call, records: Records, names: Sequence[str], inner: Sequence[str]) -> web.Response:
    """The requested page of `records`; `inner` are the names that can only be filtered by.

    The Python client sorts memberships by `id` and `name` and means those of the other end.
    """
    asked = objects_page.page_request(call.query)
    short = {name.partition(".")[2]: name for name in names if name.endswith((".id", ".name"))}
    order = sort_order(call.all("sort"), [*names, *short])
    order = [(short.get(name, name), descending) for name, descending in order]
    part, members = objects_page.cut(_wanted(call, records, [*names, *inner], order), asked)
    data = [shown(record, asked.include) for record in part]
    return reply({"status": 200, "data": data, **members}, 200, Family.OBJECTS)


def _wanted(
    call: Call, records: Records, names: Sequence[str], order: list[tuple[str, bool]]
) -> Records | list[Fields]:
    """The records that pass the filter, sorted; unchanged when neither is requested."""
    expression = call.query.get("filter")
    if not expression and not order:
        return records
    test = filter_test(expression, names) if expression else None
    return sort_records((record for record in records if test is None or test(record)), order)


def _all(kind: Kind) -> Serve:
    async def serve(call: Call) -> web.Response:
        await _check(call, needs(f"list_{_NOUN[kind]}s"))
        return _listed(call, call.keyset.objects.all(kind), _entity_names(kind), ["custom"])

    return serve


def _one(kind: Kind) -> Serve:
    async def serve(call: Call) -> web.Response:
        name = _id(call, kind)
        await _check(call, needs(f"get_{_NOUN[kind]}", **_named(kind, name)))
        return _shown_one(call, kind, name)

    return serve


def _put(kind: Kind) -> Serve:
    async def serve(call: Call) -> web.Response:
        name, body = _id(call, kind), await call.request.read()
        await _check(call, needs(f"set_{_NOUN[kind]}", **_named(kind, name)))
        changes = entity_changes(kind, body)
        if_match = call.request.headers.get("If-Match")
        _publish_events(
            call, _objects(call).put(kind, name, changes, call.keyset.clock.timetoken(), if_match)
        )
        return _shown_one(call, kind, name)

    return serve


def _remove(kind: Kind) -> Serve:
    async def serve(call: Call) -> web.Response:
        name = _id(call, kind)
        await _check(call, needs(f"delete_{_NOUN[kind]}", **_named(kind, name)))
        _publish_events(call, _objects(call).remove(kind, name))
        return reply({"status": 200, "data": None}, 200, Family.OBJECTS)

    return serve


def _shown_one(call: Call, kind: Kind, name: str) -> web.Response:
    data = shown(call.keyset.objects.get(kind, name), objects_page.included(call.query))
    return reply({"status": 200, "data": data}, 200, Family.OBJECTS)


async def _memberships(call: Call) -> web.Response:
    user = _id(call, "uuid")
    await _check(call, needs("get_memberships", uuids=[user]))
    return _listed_memberships(call, user)


async def _change_memberships(call: Call) -> web.Response:
    user, objects = _id(call, "uuid"), _objects(call)
    changes = membership_changes("channel", await call.request.read())
    touched = [*(name for name, _ in changes.put), *changes.remove]
    await _check(call, needs("set_memberships", channels=touched, uuids=[user]))
    objects.require((user, channel) for channel, _ in changes.put)
    for channel, own in changes.put:
        _publish_events(call, objects.join(user, channel, own, call.keyset.clock.timetoken()))
    for channel in changes.remove:
        _publish_events(call, objects.leave(user, channel))
    return _listed_memberships(call, user)


async def _members(call: Call) -> web.Response:
    channel = _id(call, "channel")
    await _check(call, needs("get_members", channels=[channel]))
    return _listed_members(call, channel)


async def _change_members(call: Call) -> web.Response:
    channel, objects = _id(call, "channel"), _objects(call)
    changes = membership_changes("uuid", await call.request.read())
    await _check(call, needs("set_members", channels=[channel]))
    objects.require((user, channel) for user, _ in changes.put)
    for user, own in changes.put:
        _publish_events(call, objects.join(user, channel, own, call.keyset.clock.timetoken()))
    for user in changes.remove:
        _publish_events(call, objects.leave(user, channel))
    return _listed_members(call, channel)


def _listed_memberships(call: Call, user: str) -> web.Response:
    names = _membership_names("channel")
    return _listed(call, call.keyset.objects.memberships(user), names, ["custom", "channel.custom"])


def _listed_members(call: Call, channel: str) -> web.Response:
    names = _membership_names("uuid")
    return _listed(call, call.keyset.objects.members(channel), names, ["custom", "uuid.custom"])


def _entity_names(kind: Kind) -> list[str]:
    return ["id", *MEMBERS[kind], "status", "type", "updated"]


def _membership_names(other: Kind) -> list[str]:
    return ["status", "type", "updated", *(f"{other}.{name}" for name in _entity_names(other))]


def _entity_routes(kind: Kind) -> list[web.RouteDef]:
    every, one = f"/v2/objects/{{sub}}/{kind}s", f"/v2/objects/{{sub}}/{kind}s/{{{_PART[kind]}}}"
    return [
        web.get(every, _responses(_all(kind))),
        web.get(one, _responses(_one(kind))),
        web.patch(one, _responses(_put(kind))),
        web.delete(one, _responses(_remove(kind))),
    ]


ROUTES = [
    *_entity_routes("uuid"),
    *_entity_routes("channel"),
    web.get("/v2/objects/{sub}/uuids/{uuid}/channels", _responses(_memberships)),
    web.patch("/v2/objects/{sub}/uuids/{uuid}/channels", _responses(_change_memberships)),
    web.get("/v2/objects/{sub}/channels/{channel}/uuids", _responses(_members)),
    web.patch("/v2/objects/{sub}/channels/{channel}/uuids", _responses(_change_members)),
]
