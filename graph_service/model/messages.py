"""The messages that clients receive: names, payloads and JSON Schemas. Pure.

Receivers ignore unknown members. ``python -m graph_service.model.messages DIRECTORY`` writes the schemas;
a test checks that those in ``docs/schemas/`` are current. The fast encoders of the bridge are tested against these.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

VERSION: Literal["1.0.0"] = "1.0.0"
MAX_MESSAGE_BYTES = 32 * 1024
"""Bytes of one publish (PubNub docs: message size limit), request line and channel included."""

Timestamp = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
        json_schema_extra={"format": "date-time"},
        examples=["2026-01-31T09:30:00.123456Z"],
    ),
]
"""ISO 8601 UTC with exactly six digits of fraction, so that texts sort as times do."""


class _Contract(BaseModel):
    """Members are written in camelCase; unknown ones are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Online(_Contract):
    """A friend came online."""

    user_id: str
    name: str
    at: int = 0
    """When the presence began, unix milliseconds by PubNub's clock: decides between equal `ts`."""


class Offline(_Contract):
    """A friend went offline."""

    user_id: str
    last_seen: Timestamp
    at: int = 0
    """When the absence began, unix milliseconds by PubNub's clock: decides between equal `ts`."""


class Sync(_Contract):
    """All friends who are online, as of `ts`. Split where it would pass 32 KiB; all parts have one `ts`."""

    online_friends: tuple[str, ...]
    total_friends: int
    total_online: int
    part: int = Field(default=1, ge=1)
    parts: int = Field(default=1, ge=1)


class Requested(_Contract):
    """A friend request waits for an answer."""

    user_id: str
    """The other end, as seen from the inbox."""
    name: str
    requested_by: str
    """Who asked: the other end, or the inbox's own user (sent to the user's other devices)."""


class Added(_Contract):
    """Two users are friends now."""

    user_id: str
    name: str
    online: bool
    last_seen: Timestamp | None = None
    """None when never seen."""
    at: int = 0


class Removed(_Contract):
    """Nothing is left between the two: unfriended, declined, cancelled and blocked look alike."""

    user_id: str
    name: str = ""


class Count(_Contract):
    """How many users are online in all."""

    online_count: int = Field(ge=0)
    delta: int
    """Change since the last one."""
    calculated_at: Timestamp
    valid_for: int = Field(gt=0)
    """Seconds. A client that heard none for so long shows presence as unknown."""
    degraded: bool
    reason: str | None = None
    """Why it is degraded."""


class _Message(_Contract):
    schema_version: Literal["1.0.0"] = VERSION
    event_id: str
    """Names the event in logs and notifications; repeats carry the same one. Never decides what is newer."""
    ts: Timestamp
    """The graph's clock at the read that the payload comes from: decides what is newer."""


class FriendOnline(_Message):
    """On `inbox.{userId}` of every friend who is online."""

    type: Literal["friend.online"] = "friend.online"
    payload: Online


class FriendOffline(_Message):
    """On `inbox.{userId}` of every friend who is online."""

    type: Literal["friend.offline"] = "friend.offline"
    payload: Offline


class FriendRequested(_Message):
    """On the inboxes of both ends."""

    type: Literal["friend.requested"] = "friend.requested"
    payload: Requested


class FriendAdded(_Message):
    """On the inboxes of both ends."""

    type: Literal["friend.added"] = "friend.added"
    payload: Added


class FriendRemoved(_Message):
    """On the inboxes of both ends."""

    type: Literal["friend.removed"] = "friend.removed"
    payload: Removed


class FriendsSync(_Message):
    """On the own inbox, when arriving and when asked for."""

    type: Literal["friends.sync"] = "friends.sync"
    payload: Sync


Event = Annotated[
    Union[FriendOnline, FriendOffline, FriendRequested, FriendAdded, FriendRemoved],  # noqa: UP007 - for pydantic
    Field(discriminator="type"),
]


class Batch(_Contract):
    """Several events for one inbox, each complete in itself, at most one presence event a friend."""

    events: tuple[Event, ...]


class FriendBatch(_Message):
    """On an inbox, instead of several messages at once. Its `ts` is the newest of its events."""

    type: Literal["friend.batch"] = "friend.batch"
    payload: Batch


class StatusCount(_Message):
    """On `status.global`, every ten seconds unless set otherwise."""

    type: Literal["status.count"] = "status.count"
    payload: Count


Message = Annotated[
    Union[  # noqa: UP007 - for pydantic
        FriendOnline,
        FriendOffline,
        FriendRequested,
        FriendAdded,
        FriendRemoved,
        FriendBatch,
        FriendsSync,
        StatusCount,
    ],
    Field(discriminator="type"),
]
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)
"""Validates any message of this service; raises pydantic's ValidationError."""

KINDS: tuple[type[_Message], ...] = (
    FriendOnline,
    FriendOffline,
    FriendRequested,
    FriendAdded,
    FriendRemoved,
    FriendBatch,
    FriendsSync,
    StatusCount,
)


def schemas() -> dict[str, str]:
    """The text of each schema file by its name, such as ``friend.online.json``."""
    files = {}
    for kind in KINDS:
        name = str(kind.model_fields["type"].default)
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | kind.model_json_schema()
        files[f"{name}.json"] = re.sub(r"\\n +", " ", json.dumps(schema, indent=2)) + "\n"
    return files


def write(directory: Path) -> None:
    """Write all schema files."""
    for name, text in schemas().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
