"""Messages to subscribers, and their encoding as subscribe v2 envelopes.

Every member of the envelope, present when it was in recordings. Time is an argument, as the timetoken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from local_stack.origin.reply import dumps

_quoted = json.encoder.encode_basestring_ascii


class Kind(IntEnum):
    """`e` of an envelope."""

    MESSAGE = 0
    SIGNAL = 1
    OBJECTS = 2
    ACTION = 3
    FILE = 4


@dataclass(slots=True, kw_only=True)
class Envelope:
    """A message published on `channel`.

    `payload` is any JSON value; `text` is the same as JSON text where the caller has it. `publisher` is a uuid (none
    for presence and App Context events), `meta` a JSON object, `origin_timetoken` the publisher's timetoken.
    """

    channel: str
    payload: Any = None
    text: str | None = None
    kind: Kind = Kind.MESSAGE
    publisher: str | None = None
    sequence: int | None = None
    meta: Any = None
    custom_type: str | None = None
    origin_timetoken: int | None = None


class Event:
    """A published envelope in a keyset's queue: its timetoken, and its JSON in two halves, between which `b` goes."""

    __slots__ = ("channel", "head", "kind", "meta", "tail", "text", "timetoken")

    def __init__(self, envelope: Envelope, timetoken: int, head: str) -> None:
        self.channel = envelope.channel
        self.kind = envelope.kind
        self.meta = envelope.meta
        self.timetoken = timetoken
        self.head = head
        self.text = dumps(envelope.payload) if envelope.text is None else envelope.text
        self.tail = _tail(envelope, self.text)

    @property
    def payload(self) -> Any:
        """The payload, parsed from its text."""
        return json.loads(self.text)

    def encoded(self, match: str | None) -> str:
        """The envelope as JSON; `match` is the matching subscription (`b`), None where it is omitted."""
        if match is None:
            return self.head + self.tail
        return f'{self.head},"b":{_quoted(match)}{self.tail}'


def event(envelope: Envelope, timetoken: int, key: str, shard: str, region: int) -> Event:
    """`envelope` as stored in the queue, published at `timetoken` with subscribe key `key`."""
    parts = [f'{{"a":{_quoted(shard)},"f":0']
    if envelope.kind:
        parts.append(f'"e":{int(envelope.kind)}')
    if envelope.publisher is not None:
        parts.append(f'"i":{_quoted(envelope.publisher)}')
    if envelope.sequence is not None:
        parts.append(f'"s":{envelope.sequence}')
    parts.append(f'"p":{{"t":"{timetoken}","r":{region}}}')
    if envelope.origin_timetoken is not None:
        parts.append(f'"o":{{"t":"{envelope.origin_timetoken}"}}')
    parts.append(f'"k":{_quoted(key)},"c":{_quoted(envelope.channel)}')
    return Event(envelope, timetoken, ",".join(parts))


def _tail(envelope: Envelope, text: str) -> str:
    meta = "" if envelope.meta is None else f',"u":{dumps(envelope.meta)}'
    custom = "" if envelope.custom_type is None else f',"cmt":{_quoted(envelope.custom_type)}'
    return f'{meta},"d":{text}{custom}}}'


def subscribe_body(timetoken: int, region: int, messages: list[str]) -> bytes:
    """The body of a subscribe response: the next cursor and the envelopes."""
    return f'{{"t":{{"t":"{timetoken}","r":{region}}},"m":[{",".join(messages)}]}}'.encode()
