"""Subscribe v2: handshake and long poll (PubNub docs, recorded replies).

Knows how a request names channels, wildcards, presence and groups, when `b` is written, and how long a poll is held.
Leaves the queue to `channels`, who is present to `presence`, and filters to `stream_filter`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from local_stack.origin.call import CALL, Call
from local_stack.origin.channels import PRESENCE, Found, Source, Waiter
from local_stack.origin.envelope import answer
from local_stack.origin.keyset import Keyset, group_log
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.presence_api import BadStateError, bad_state, occupied, visit_of
from local_stack.origin.reply import raw, refused
from local_stack.origin.stream_filter import FilterError, Predicate, compiled

MAX_TIMETOKEN_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Poll:
    """What one request listens to: names as subscribed, groups, and the filter over what they bring."""

    keyset: Keyset
    channels: tuple[str, ...]
    groups: tuple[str, ...]
    accepts: Predicate | None

    @property
    def plain(self) -> bool:
        """Whether matches are left out of the envelopes: exactly one channel, no group, no wildcard (recorded)."""
        return (
            len(self.channels) == 1
            and not self.groups
            and not self.channels[0].endswith((".*", f".*{PRESENCE}"))
        )

    def sources(self) -> list[Source]:
        """The logs to read now; groups are looked up each time because they change."""
        found = [(channel, channel) for channel in self.channels]
        for group in self.groups:
            suffix = PRESENCE if group.endswith(PRESENCE) else ""
            held = self.keyset.groups.channels(group.removesuffix(PRESENCE))
            found += [(channel + suffix, group) for channel in held]
        return found

    def read(self, after: int) -> Found:
        """What is there for this request after cursor `after`: the newest, up to the size of the queue."""
        found = self.keyset.channels.read(self.sources(), after)
        if not found:
            return found
        if self.accepts is not None:
            found = [(match, event) for match, event in found if self.accepts(event)]
        if not self.keyset.settings.per_match:
            found = list({event.timetoken: (match, event) for match, event in reversed(found)}.values())[::-1]
        return found[-self.keyset.settings.queue_messages :]

    def logs(self) -> tuple[str, ...]:
        """Where to wait: the logs of the sources, and the groups themselves."""
        logs = dict.fromkeys(log for log, _ in self.sources())
        return (*logs, *map(group_log, self.groups))


async def subscribe(request: web.Request) -> web.StreamResponse:
    """GET /v2/subscribe/{sub}/{channels}/0"""
    call = request[CALL]
    channels, groups = call.names("channels"), call.listed("channel-group")
    refusal = allowed(call, needs("subscribe", channels, groups))
    if refusal is not None:
        return refusal
    timetoken = call.query.get("tt") or "0"
    if not (timetoken.isascii() and timetoken.isdigit()) or len(timetoken) > MAX_TIMETOKEN_DIGITS:
        return refused("Invalid Timetoken", "Subscribe")
    if not channels and not groups:
        return refused("Missing Channel", "Subscribe")
    try:
        accepts = compiled(call.query.get("filter-expr", ""))
    except FilterError as error:
        return refused(f"Invalid filter expression: {error}", "Subscribe", 481)
    return await _answered(call, Poll(call.keyset, tuple(channels), tuple(groups), accepts), int(timetoken))


async def _answered(call: Call, poll: Poll, timetoken: int) -> web.StreamResponse:
    keyset = poll.keyset
    present = occupied(keyset, poll.channels, poll.groups)
    cursor = keyset.clock.timetoken() if timetoken == 0 else min(timetoken, keyset.clock.last)
    try:
        visit = visit_of(call, present, first=timetoken == 0)
    except BadStateError as error:
        return bad_state(error)
    if visit is not None:
        keyset.visit(visit)
    if timetoken == 0:
        return raw(answer(cursor, keyset.settings.region, []))
    try:
        found = poll.read(cursor) or await _held(poll, cursor)
    except asyncio.CancelledError:
        _closed(call, present)
        raise
    newest = max((event.timetoken for _, event in found), default=cursor)
    plain = poll.plain
    told = keyset.faults.disturbed(found)
    messages = [event.wire(None if plain else match) for match, event in told]
    return raw(answer(newest, keyset.settings.region, messages))


async def _held(poll: Poll, cursor: int) -> Found:
    """Waits for something that matches; empty when the poll has been idle for its whole time."""
    keyset = poll.keyset
    until = keyset.clock.now + keyset.settings.hold_s
    while True:
        woken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiter = Waiter(poll.logs(), until, partial(_set, woken))
        keyset.channels.wait(waiter)
        try:
            came = await woken
        finally:
            keyset.channels.leave(waiter)
        found = poll.read(cursor)
        if found or not came:
            return found


def _set(woken: asyncio.Future[bool], came: bool) -> None:
    if not woken.done():
        woken.set_result(came)


def _closed(call: Call, present: tuple[str, ...]) -> None:
    """The connection ended while it polled: a leave, if the keyset generates one on FIN or RST."""
    if call.uuid and call.keyset.settings.presence.leave_on_close:
        call.keyset.leave(call.uuid, present)


ROUTES = [web.get("/v2/subscribe/{sub}/{channels}/{callback}", subscribe)]
