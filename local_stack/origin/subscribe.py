"""Subscribe v2: handshake and long poll (PubNub docs, recorded replies).

How a request names channels, wildcards, presence and groups, when `b` is sent, and how long a poll stays open. The
queue is in `channels`, presence in `presence`, filters in `stream_filter`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from local_stack.origin.access import Need
from local_stack.origin.call import CALL, Call
from local_stack.origin.channels import PRESENCE, Found, Source, Waiter
from local_stack.origin.envelope import subscribe_body
from local_stack.origin.keyset import Keyset, group_log
from local_stack.origin.names import too_long
from local_stack.origin.operations import needs
from local_stack.origin.permission import allowed
from local_stack.origin.presence import Visit
from local_stack.origin.presence_api import BadStateError, bad_state, occupied, visit_of
from local_stack.origin.reply import raw, refused
from local_stack.origin.stream_filter import FilterError, Predicate, compiled

MAX_TIMETOKEN_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Poll:
    """What one request subscribes to: names, groups, and the filter."""

    keyset: Keyset
    channels: tuple[str, ...]
    groups: tuple[str, ...]
    accepts: Predicate | None

    @property
    def plain(self) -> bool:
        """Whether envelopes omit the match (`b`): exactly one channel, no group, no wildcard (recorded)."""
        return (
            len(self.channels) == 1
            and not self.groups
            and not self.channels[0].endswith((".*", f".*{PRESENCE}"))
        )

    def sources(self) -> list[Source]:
        """The logs to read now; groups are resolved each time because they change."""
        found = [(channel, channel) for channel in self.channels]
        for group in self.groups:
            suffix = PRESENCE if group.endswith(PRESENCE) else ""
            members = self.keyset.groups.channels(group.removesuffix(PRESENCE))
            found += [(channel + suffix, group) for channel in members]
        return found

    def read(self, after: int) -> Found:
        """The events for this request after cursor `after`: the newest, up to the size of the queue."""
        found = self.keyset.channels.read(self.sources(), after)
        if not found:
            return found
        if self.accepts is not None:
            found = [(match, event) for match, event in found if self.accepts(event)]
        if not self.keyset.settings.per_match:
            found = list({event.timetoken: (match, event) for match, event in reversed(found)}.values())[::-1]
        return found[-self.keyset.settings.queue_messages :]

    def logs(self) -> tuple[str, ...]:
        """The logs to wait on: those of the sources, and one for each group."""
        logs = dict.fromkeys(log for log, _ in self.sources())
        return (*logs, *map(group_log, self.groups))


@dataclass(slots=True)
class Subscription:
    """A subscribe request without its cursor: a client repeats it with each of its polls.

    `present` are the channels that its user occupies while a poll is open.
    """

    call: Call
    poll: Poll
    wanted: list[Need]
    present: tuple[str, ...]
    visit: Visit | None

    @property
    def timetoken(self) -> int:
        """The cursor of the first request."""
        return int(self.call.query.get("tt") or "0")

    @property
    def lasting(self) -> bool:
        """Whether it stays valid for the next request: groups change, and a signature is valid for one moment."""
        return not self.poll.groups and "signature" not in self.call.query

    def again(
        self, timetoken: int, now: float, has_disconnected: Callable[[], bool]
    ) -> web.Response | bytes | PendingPoll:
        """The response to the same request with another cursor, at `now`."""
        self.call.now = now
        return allowed(self.call, self.wanted) or self.begun(timetoken, has_disconnected)

    def begun(self, timetoken: int, has_disconnected: Callable[[], bool]) -> bytes | PendingPoll:
        """The response to a handshake or to a poll that finds something, else a pending poll."""
        keyset = self.poll.keyset
        # The cursor of a handshake is older than the join that it causes: a client receives its own join.
        cursor = keyset.clock.timetoken() if timetoken == 0 else min(timetoken, keyset.clock.last)
        if self.visit is not None and not (keyset.presence.would_join(self.visit) and has_disconnected()):
            keyset.visit(replace(self.visit, first=True) if timetoken == 0 else self.visit)
        if timetoken == 0:
            return subscribe_body(cursor, keyset.settings.region, [])
        pending = PendingPoll(self, cursor)
        return pending.response() or pending


@dataclass(slots=True)
class PendingPoll:
    """An open poll for which there is nothing yet."""

    subscription: Subscription
    cursor: int

    @property
    def poll(self) -> Poll:
        """What it subscribes to."""
        return self.subscription.poll

    def response(self, *, ended: bool = False) -> bytes | None:
        """The body of the response; None while there is nothing to send and the poll has not `ended`."""
        found = self.poll.read(self.cursor)
        return _body(self.poll, self.cursor, found) if found or ended else None

    def waiter(self, wake: Callable[[bool], None]) -> Waiter:
        """Register for this poll's logs, for at most the keyset's `hold_s`."""
        keyset = self.poll.keyset
        waiter = Waiter(self.poll.logs(), keyset.clock.now + keyset.settings.hold_s, wake)
        keyset.channels.wait(waiter)
        return waiter

    def must_wait_elsewhere(self, waiter: Waiter) -> bool:
        """Whether the logs to wait on have changed, because a group has."""
        return bool(self.poll.groups) and self.poll.logs() != waiter.logs

    def closed(self) -> None:
        """Process the end of its connection: a leave, if the keyset generates one on FIN or RST."""
        keyset, uuid = self.poll.keyset, self.subscription.call.uuid
        if uuid and keyset.settings.presence.leave_on_close:
            keyset.leave(uuid, self.subscription.present)


def opened(
    call: Call, has_disconnected: Callable[[], bool] = lambda: False
) -> web.Response | bytes | PendingPoll:
    """The immediate result of a subscribe request: a rejection, the body of a response, or a pending poll.

    Before a join it checks `has_disconnected`: a client that has disconnected does not join.
    """
    found = understood(call)
    return found.begun(found.timetoken, has_disconnected) if isinstance(found, Subscription) else found


def understood(call: Call) -> web.Response | Subscription:
    """Parse a subscribe request into a subscription, or the response that rejects it."""
    channels, groups = call.names("channels"), call.listed("channel-group")
    wanted = needs("subscribe", channels, groups)
    refusal = allowed(call, wanted)
    if refusal is not None:
        return refusal
    wrong = _request_error(call, channels + groups, call.query.get("tt") or "0")
    if wrong is not None:
        return refused(wrong, "Subscribe")
    try:
        accepts = compiled(call.query.get("filter-expr", ""))
        present = occupied(call.keyset, channels, groups)
        poll = Poll(call.keyset, tuple(channels), tuple(groups), accepts)
        return Subscription(call, poll, wanted, present, visit_of(call, present))
    except FilterError as error:
        return refused(f"Invalid filter expression: {error}", "Subscribe", 481)
    except BadStateError as error:
        return bad_state(error)


def _request_error(call: Call, names: list[str], timetoken: str) -> str | None:
    """The error of a request, or None."""
    if not (timetoken.isascii() and timetoken.isdigit()) or len(timetoken) > MAX_TIMETOKEN_DIGITS:
        return "Invalid Timetoken"
    if not names:
        return "Missing Channel"
    most = call.keyset.settings.max_name
    if too_long(call.uuid, most) or any(too_long(name, most) for name in names):
        return "Channel, group or user id too long"
    return None


def _body(poll: Poll, cursor: int, found: Found) -> bytes:
    newest = max((event.timetoken for _, event in found), default=cursor)
    plain = poll.plain
    delivered = poll.keyset.faults.disturbed(found)
    messages = [event.encoded(None if plain else match) for match, event in delivered]
    return subscribe_body(newest, poll.keyset.settings.region, messages)


async def subscribe(request: web.Request) -> web.StreamResponse:
    """GET /v2/subscribe/{sub}/{channels}/0"""
    first = opened(request[CALL])
    if isinstance(first, PendingPoll):
        try:
            return raw(await _wait_for_messages(first))
        except asyncio.CancelledError:
            first.closed()
            raise
    return raw(first) if isinstance(first, bytes) else first


async def _wait_for_messages(pending: PendingPoll) -> bytes:
    """Wait for a matching event, or for the end of the poll."""
    channels = pending.poll.keyset.channels
    woken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    waiter = pending.waiter(partial(_set, woken))
    try:
        while True:
            came = await woken
            body = pending.response(ended=not came)
            if body is not None:
                return body
            woken = asyncio.get_running_loop().create_future()
            waiter.wake = partial(_set, woken)
            if pending.must_wait_elsewhere(waiter):
                channels.leave(waiter)
                waiter = pending.waiter(partial(_set, woken))
    finally:
        channels.leave(waiter)


def _set(woken: asyncio.Future[bool], came: bool) -> None:
    if not woken.done():
        woken.set_result(came)


ROUTES = [web.get("/v2/subscribe/{sub}/{channels}/{callback}", subscribe)]
