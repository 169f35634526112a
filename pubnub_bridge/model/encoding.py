"""Encodes messages as JSON bytes. Pure. The contracts themselves are `graph_service.model.messages`.

An event is encoded once, however many users receive it, and is inserted into batches as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from graph_service.model.messages import MAX_MESSAGE_BYTES, VERSION
from graph_service.model.timestamps import microseconds
from pubnub_bridge.model.presence_event import event_id

MAX_BODY_BYTES = MAX_MESSAGE_BYTES - 1024
"""The rest of the limit is for the request line, its token and the headers."""
BATCH_HEAD_BYTES = 512
"""Reserved in a body for everything but the list of events or friends."""


def text(value: str | None) -> str:
    """A JSON string or null, in ASCII, so that its length is its number of bytes: PubNub counts those."""
    return "null" if value is None else encode_basestring_ascii(value)


def message(kind: str, event_id: str, ts: int, payload: str) -> bytes:
    """One message; `payload` is JSON, `ts` in microseconds."""
    head = (
        f'{{"type":"{kind}","schemaVersion":"{VERSION}","eventId":{text(event_id)},"ts":"{microseconds(ts)}"'
    )
    return f'{head},"payload":{payload}}}'.encode()


def online(user: str, name: str, at: int, ts: int) -> bytes:
    """friend.online; `at` in milliseconds, `ts` in microseconds."""
    payload = f'{{"userId":{text(user)},"name":{text(name)},"at":{at}}}'
    return message("friend.online", event_id(user, at), ts, payload)


def offline(user: str, last_seen: int, at: int, ts: int) -> bytes:
    """friend.offline; `last_seen` and `at` in milliseconds, `ts` in microseconds."""
    payload = f'{{"userId":{text(user)},"lastSeen":"{microseconds(last_seen * 1000)}","at":{at}}}'
    return message("friend.offline", event_id(user, at), ts, payload)


def unpack_events(body: bytes | str) -> list[dict[str, Any]]:
    """The events of a message as objects: those of a batch, or any other message itself."""
    message = json.loads(body)
    return list(message["payload"]["events"]) if message["type"] == "friend.batch" else [message]


def batches(inbox: str, events: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Events as (ts, body) in as few messages as fit: a single one as itself, several as friend.batch."""
    if len(events) == 1:
        return [events[0][1]]
    joined = b",".join([body for _, body in events])
    # Nearly always: one join of bytes, and no loop over the events.
    if len(joined) <= MAX_BODY_BYTES - BATCH_HEAD_BYTES:
        return [_batch(inbox, events, joined)]
    return [
        group[0][1] if len(group) == 1 else _batch(inbox, group, b",".join([body for _, body in group]))
        for group in _groups(events)
    ]


def _batch(inbox: str, group: Sequence[tuple[int, bytes]], joined: bytes) -> bytes:
    newest = max([ts for ts, _ in group])
    head = message("friend.batch", f"evt_batch_{inbox}_{newest}_{len(group)}", newest, '{"events":[')
    # The last brace of the head closes the message, so it comes after the events.
    return b"%b%b]}}" % (head[:-1], joined)


def _groups(events: Iterable[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
    groups: list[list[tuple[int, bytes]]] = [[]]
    size = 0
    for event in events:
        if groups[-1] and size + len(event[1]) + 1 > MAX_BODY_BYTES - BATCH_HEAD_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(event)
        size += len(event[1]) + 1
    return groups


def sync(
    user: str, friends: Sequence[str], total: int, ts: int, max_bytes: int = MAX_BODY_BYTES
) -> list[bytes]:
    """friends.sync, in as many parts of at most `max_bytes` as it needs."""
    whole, list_bytes = _list(friends), max_bytes - BATCH_HEAD_BYTES
    parts = [whole] if len(whole) <= list_bytes else _parts(friends, list_bytes)
    event_id = f"evt_sync_{user}_{ts // 1000}"
    return [
        message(
            "friends.sync",
            event_id,
            ts,
            f'{{"onlineFriends":{part},"totalFriends":{total},"totalOnline":{len(friends)},'
            f'"part":{number},"parts":{len(parts)}}}',
        )
        for number, part in enumerate(parts, 1)
    ]


def _list(friends: Sequence[str]) -> str:
    """Ids as a JSON array. Nearly all need no escapes, and then it is encoded in a third of the time."""
    plain = "".join(friends)
    if friends and plain.isascii() and plain.isprintable() and '"' not in plain and "\\" not in plain:
        return '["' + '","'.join(friends) + '"]'
    return f"[{','.join(map(text, friends))}]"


def _parts(friends: Sequence[str], max_bytes: int) -> list[str]:
    """JSON arrays of at most `max_bytes`, or of one friend."""
    parts: list[list[str]] = [[]]
    size = 0
    for friend in friends:
        encoded = text(friend)
        if parts[-1] and size + len(encoded) + 1 > max_bytes:
            parts.append([])
            size = 0
        parts[-1].append(encoded)
        size += len(encoded) + 1
    return [f"[{','.join(part)}]" for part in parts]
