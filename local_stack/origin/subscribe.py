"""Subscribe v2: handshake and long poll (PubNub docs, recorded replies).

Knows how a request names channels, wildcards, presence and groups, when `b` is written, and how long a poll is held.
Leaves the queue to `channels`, who is present to `presence`, and filters to `stream_filter`.
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
from local_stack.origin.envelope import answer
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
            members = self.keyset.groups.channels(group.removesuffix(PRESENCE))
            found += [(channel + suffix, group) for channel in members]
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


@dataclass(slots=True)
class Subscription:
    """Who listens to what, whatever the cursor: a client asks for the same with each of its polls.

    `present` are the channels its user is an occupant of while a poll of it is open.
    """

    call: Call
    poll: Poll
    wanted: list[Need]
    present: tuple[str, ...]
    visit: Visit | None

    @property
    def timetoken(self) -> int:
        """The cursor it was asked for with first."""
        return int(self.call.query.get("tt") or "0")

    @property
    def lasting(self) -> bool:
        """Whether it means the same in the next request: groups change, and a signature is good for one moment."""
        return not self.poll.groups and "signature" not in self.call.query

    def again(
        self, timetoken: int, now: float, gone: Callable[[], bool]
    ) -> web.Response | bytes | PendingPoll:
        """What the same request gets with another cursor, at `now`."""
        self.call.now = now
        return allowed(self.call, self.wanted) or self.begun(timetoken, gone)

    def begun(self, timetoken: int, gone: Callable[[], bool]) -> bytes | PendingPoll:
        """A handshake is answered at once, as is a poll that finds something."""
        keyset = self.poll.keyset
        # The cursor of a handshake is older than the join it causes: a client sees its own.
        cursor = keyset.clock.timetoken() if timetoken == 0 else min(timetoken, keyset.clock.last)
        if self.visit is not None and not (keyset.presence.would_join(self.visit) and gone()):
            keyset.visit(replace(self.visit, first=True) if timetoken == 0 else self.visit)
        if timetoken == 0:
            return answer(cursor, keyset.settings.region, [])
        pending = PendingPoll(self, cursor)
        return pending.answer() or pending


@dataclass(slots=True)
class PendingPoll:
    """A poll that found nothing yet."""

    subscription: Subscription
    cursor: int

    @property
    def poll(self) -> Poll:
        """What it listens to."""
        return self.subscription.poll

    def answer(self, *, ended: bool = False) -> bytes | None:
        """The body of the reply; None while there is nothing to tell and the poll has not `ended`."""
        found = self.poll.read(self.cursor)
        return _body(self.poll, self.cursor, found) if found or ended else None

    def waiter(self, wake: Callable[[bool], None]) -> Waiter:
        """Waits from now on for what this poll listens to, at most as long as the keyset holds a poll."""
        keyset = self.poll.keyset
        waiter = Waiter(self.poll.logs(), keyset.clock.now + keyset.settings.hold_s, wake)
        keyset.channels.wait(waiter)
        return waiter

    def must_wait_elsewhere(self, waiter: Waiter) -> bool:
        """Whether what is to be waited for has changed: a group has other channels now."""
        return bool(self.poll.groups) and self.poll.logs() != waiter.logs

    def closed(self) -> None:
        """Its connection ended meanwhile: a leave, if the keyset generates one on FIN or RST."""
        keyset, uuid = self.poll.keyset, self.subscription.call.uuid
        if uuid and keyset.settings.presence.leave_on_close:
            keyset.leave(uuid, self.subscription.present)


def opened(call: Call, gone: Callable[[], bool] = lambda: False) -> web.Response | bytes | PendingPoll:
    """What a subscribe request gets at once: a refusal, the body of a reply, or a poll that is held.

    Who would join by it is looked after first: whoever is `gone` again does not.
    """
    found = understood(call)
    return found.begun(found.timetoken, gone) if isinstance(found, Subscription) else found


def understood(call: Call) -> web.Response | Subscription:
    """Who asks for what by a subscribe request, or the answer that refuses it."""
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
    """What is wrong with a request, None where nothing is."""
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
    messages = [event.wire(None if plain else match) for match, event in delivered]
    return answer(newest, poll.keyset.settings.region, messages)


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
    """Waits for something that matches, or for the end of the time a poll is held."""
    channels = pending.poll.keyset.channels
    woken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    waiter = pending.waiter(partial(_set, woken))
    try:
        while True:
            came = await woken
            body = pending.answer(ended=not came)
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
