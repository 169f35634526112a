"""App Context state: user and channel metadata, memberships between them, and the events a change causes.

Pure: upserts (omitted members stay, null clears, `custom` is replaced as a whole), eTags, `updated` timestamps, the
members that a response contains for an `include`, and which events go to which channels (PubNub docs, recorded
replies). Time is an argument, as a timetoken (100 ns units).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["uuid", "channel"]
Fields = dict[str, Any]

MEMBERS: dict[Kind, tuple[str, ...]] = {
    "uuid": ("name", "externalId", "profileUrl", "email"),
    "channel": ("name", "description"),
}
OPTIONAL = ("custom", "status", "type")
PLAIN_MEMBERSHIP_ETAG = "AZO/t53al7m8fw"  # recorded for every membership without custom data
_TITLES: dict[Kind, str] = {"uuid": "User", "channel": "Channel"}


class NotFoundError(LookupError):
    """Requested object was not found."""


class ModifiedError(Exception):
    """The object to update has been modified after it was read."""


class MissingReferenceError(LookupError):
    """A membership names a user or channel that has no metadata, while the keyset enforces integrity."""


@dataclass(slots=True)
class Entity:
    """Metadata of one user or channel, or one membership's own data; a member that was never set is absent."""

    fields: Fields = field(default_factory=dict)
    updated: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An App Context event: `data` goes to the subscribers of `channel` as an `e:2` message."""

    channel: str
    data: Fields


class Records:
    """An ordered sequence of records that are built on access: a page of a long list costs as much as of a short one."""

    def __init__(self, names: list[str], record: Callable[[str], Fields]) -> None:
        self._names = names
        self._record = record

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Fields]:
        return map(self._record, self._names)

    def __getitem__(self, part: slice) -> list[Fields]:
        return [self._record(name) for name in self._names[part]]


@dataclass(slots=True)
class ObjectStore:
    """All App Context data of one keyset; `integrity` is the keyset's referential integrity switch."""

    entities: dict[Kind, dict[str, Entity]] = field(default_factory=lambda: {"uuid": {}, "channel": {}})
    channels_of: dict[str, dict[str, Entity]] = field(default_factory=dict)
    users_of: dict[str, dict[str, Entity]] = field(default_factory=dict)
    integrity: bool = False
    _sorted: dict[Kind, list[str]] = field(default_factory=dict)

    def get(self, kind: Kind, name: str) -> Fields:
        """The complete record of a user or channel. Raises `NotFoundError`."""
        entity = self.entities[kind].get(name)
        if entity is None:
            raise NotFoundError
        return _record(kind, name, entity)

    def all(self, kind: Kind) -> Records:
        """Every record of a kind, by id."""
        names = self._sorted.get(kind)
        if names is None:
            names = self._sorted[kind] = sorted(self.entities[kind])
        return Records(names, lambda name: _record(kind, name, self.entities[kind][name]))

    def put(
        self, kind: Kind, name: str, changes: Fields, now: int, if_match: str | None = None
    ) -> list[Event]:
        """Create or change a user or channel; `changes` contains known members only.

        Raises `ModifiedError` when `if_match` is not None and not the current eTag.
        """
        entity = self.entities[kind].get(name)
        if if_match is not None and (entity is None or entity.etag != if_match):
            raise ModifiedError(f"{_TITLES[kind]} to update has been modified after it was read.")
        if entity is None:
            entity = self.entities[kind][name] = Entity()
            self._sorted.pop(kind, None)
        changed = _apply(entity, changes)
        entity.updated = _stamp(now, 6)
        entity.etag = _digest(entity.fields, entity.updated)
        data = {"id": name, **changed, "eTag": entity.etag, "updated": entity.updated}
        return [Event(name, _event("set", kind, data))]

    def remove(self, kind: Kind, name: str) -> list[Event]:
        """Delete a user or channel; one that does not exist is no error and no event."""
        if self.entities[kind].pop(name, None) is None:
            return []
        self._sorted.pop(kind, None)
        events = [Event(name, _event("delete", kind, {"id": name}))]
        if self.integrity:
            side = self.channels_of if kind == "uuid" else self.users_of
            for other in list(side.get(name, ())):
                user, channel = (name, other) if kind == "uuid" else (other, name)
                events += self.leave(user, channel)
        return events

    def require(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Raises `MissingReferenceError` where integrity is enforced and a pair of user and channel lacks an end."""
        users, channels = self.entities["uuid"], self.entities["channel"]
        if self.integrity and any(user not in users or channel not in channels for user, channel in pairs):
            raise MissingReferenceError

    def join(self, user: str, channel: str, changes: Fields, now: int) -> list[Event]:
        """Create or change the membership of `user` in `channel`. Raises `MissingReferenceError`."""
        self.require([(user, channel)])
        membership = self.channels_of.setdefault(user, {}).setdefault(channel, Entity())
        self.users_of.setdefault(channel, {})[user] = membership
        changed = _apply(membership, changes)
        membership.updated = _stamp(now, 9)
        membership.etag = _short_digest(membership.fields)
        data = {**_ends(user, channel), **changed, "eTag": membership.etag, "updated": membership.updated}
        return _to_both(user, channel, _event("set", "membership", data))

    def leave(self, user: str, channel: str) -> list[Event]:
        """Delete a membership; one that does not exist is no error and no event."""
        if self.channels_of.get(user, {}).pop(channel, None) is None:
            return []
        self.users_of[channel].pop(user, None)
        for side, name in ((self.channels_of, user), (self.users_of, channel)):
            if not side[name]:
                del side[name]
        return _to_both(user, channel, _event("delete", "membership", _ends(user, channel)))

    def memberships(self, user: str) -> Records:
        """Every membership of `user`, each with the channel's whole record, by channel id."""
        held = self.channels_of.get(user, {})
        return Records(sorted(held), lambda name: self._membership("channel", name, held[name]))

    def members(self, channel: str) -> Records:
        """Every member of `channel`, each with the user's whole record, by user id."""
        held = self.users_of.get(channel, {})
        return Records(sorted(held), lambda name: self._membership("uuid", name, held[name]))

    def _membership(self, kind: Kind, other: str, own: Entity) -> Fields:
        entity = self.entities[kind].get(other)
        record = {"id": other} if entity is None else _record(kind, other, entity)
        return {kind: record, **_optional(own), "updated": own.updated, "eTag": own.etag}


def shown(record: Mapping[str, Any], include: Iterable[str]) -> Fields:
    """The part of `record` in a response: `custom`, `status`, `type` and the other end only when included."""
    wanted = frozenset(include)
    view: Fields = {}
    for name, value in record.items():
        if name in {"uuid", "channel"}:
            view[name] = _shown_end(name, value, wanted)
        elif name not in OPTIONAL or name in wanted:
            view[name] = value
    return view


def _shown_end(name: str, record: Mapping[str, Any], wanted: frozenset[str]) -> Fields:
    inner = {part.partition(".")[2] for part in wanted if part.split(".")[0] == name}
    return shown(record, inner) if inner - {"id"} else {"id": record["id"]}


def _record(kind: Kind, name: str, entity: Entity) -> Fields:
    plain = {member: entity.fields.get(member) for member in MEMBERS[kind]}
    return {"id": name, **plain, **_optional(entity), "updated": entity.updated, "eTag": entity.etag}


def _optional(entity: Entity) -> Fields:
    return {member: entity.fields.get(member) for member in OPTIONAL}


def _apply(entity: Entity, changes: Fields) -> Fields:
    """Apply `changes` to the entity and return those that changed something."""
    changed = {name: value for name, value in changes.items() if entity.fields.get(name) != value}
    entity.fields = {name: value for name, value in {**entity.fields, **changes}.items() if value is not None}
    return changed


def _ends(user: str, channel: str) -> Fields:
    return {"channel": {"id": channel}, "uuid": {"id": user}}


def _event(event: str, kind: str, data: Fields) -> Fields:
    return {"source": "objects", "version": "2.0", "event": event, "type": kind, "data": data}


def _to_both(user: str, channel: str, data: Fields) -> list[Event]:
    return [Event(name, data) for name in dict.fromkeys((channel, user))]


def _stamp(now: int, digits: int) -> str:
    """ISO 8601 in UTC of a timetoken, with `digits` decimals."""
    seconds, ticks = divmod(now, 10_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ticks * 100:09d}"[: 20 + digits] + "Z"


def _canonical(fields: Fields) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _digest(fields: Fields, updated: str) -> str:
    return hashlib.blake2b(_canonical(fields) + updated.encode(), digest_size=16).hexdigest()


def _short_digest(fields: Fields) -> str:
    if not fields:
        return PLAIN_MEMBERSHIP_ETAG
    return base64.b64encode(hashlib.blake2b(_canonical(fields), digest_size=10).digest()).decode().rstrip("=")
