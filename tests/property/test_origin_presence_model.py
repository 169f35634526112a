"""The presence state machine against a plain model, under random joins, leaves, heartbeats and time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.origin.presence import Presence, Visit
from local_stack.origin.presence_events import DELTAS, INTERVAL, QUIET, PresenceEvent
from local_stack.origin.settings import PresenceSettings

USERS = ("a", "b", "c", "d")
CHANNELS = ("x", "y")
TIMEOUT_S = 50.0

step = st.one_of(
    st.tuples(
        st.just("visit"),
        st.sampled_from(USERS),
        st.sampled_from(CHANNELS),
        st.sampled_from([None, 5.0, 20.0]),
    ),
    st.tuples(
        st.just("beat"), st.sampled_from(USERS), st.sampled_from(CHANNELS), st.sampled_from([None, 5.0, 20.0])
    ),
    st.tuples(st.just("leave"), st.sampled_from(USERS), st.sampled_from(CHANNELS), st.none()),
    st.tuples(st.just("wait"), st.just(""), st.just(""), st.sampled_from([0.5, 3.0, 7.0, 60.0])),
)
steps = st.lists(step, max_size=40)


@dataclass
class Model:
    """A reference model: who is present until when."""

    implicit: bool
    until: dict[tuple[str, str], float] = field(default_factory=dict)

    def visit(self, user: str, channel: str, explicit: bool, period: float | None, now: float) -> None:
        """A sign of life."""
        if (channel, user) not in self.until or explicit or self.implicit:
            self.until[channel, user] = now + (period or TIMEOUT_S)

    def leave(self, user: str, channel: str) -> None:
        """An explicit leave."""
        self.until.pop((channel, user), None)

    def run(self, now: float) -> None:
        """Time passes."""
        self.until = {key: until for key, until in self.until.items() if until > now}

    def present(self, channel: str) -> set[str]:
        """Who is there."""
        return {user for place, user in self.until if place == channel}


@dataclass
class Listener:
    """Derives who is present from the announced events, as a client would."""

    heard: dict[str, set[str]] = field(default_factory=lambda: {channel: set() for channel in CHANNELS})
    last_at: float = 0.0

    def take(self, events: list[PresenceEvent]) -> None:
        """Apply events, checking that each is possible."""
        for event in events:
            if event.action in QUIET:
                continue
            here = self.heard[event.channel]
            assert event.at >= self.last_at
            self.last_at = event.at
            assert (event.uuid in here) == (event.action != "join")
            (here.add if event.action == "join" else here.discard)(event.uuid or "")
            assert event.occupancy == len(here)


@settings(max_examples=300, deadline=None)
@given(steps, st.booleans())
def test_announced_events_rebuild_exactly_who_is_present(plan: list, implicit: bool) -> None:
    """After every step, for every channel: machine, model and listener agree."""
    machine = Presence(PresenceSettings(timeout_s=TIMEOUT_S, implicit_heartbeat=implicit, announce_max=100))
    model, listener, now = Model(implicit), Listener(), 1000.0
    for kind, user, channel, number in plan:
        if kind == "wait":
            now += number
            listener.take(machine.run(now))
            model.run(now)
        elif kind == "leave":
            listener.take(machine.leave(user, [channel], now))
            model.leave(user, channel)
        else:
            explicit = kind == "beat"
            listener.take(machine.visit(Visit(user, (channel,), explicit, timeout_s=number), now))
            model.visit(user, channel, explicit, number, now)
        for place in CHANNELS:
            assert set(machine.here(place)) == model.present(place) == listener.heard[place]
            assert machine.occupancy(place) == len(model.present(place))
        for person in USERS:
            assert set(machine.where(person)) == {
                place for place in CHANNELS if person in model.present(place)
            }


@settings(max_examples=300, deadline=None)
@given(steps, st.sampled_from([0, 1, 2]))
def test_intervals_name_everyone_whose_presence_changed(plan: list, announce_max: int) -> None:
    """After each interval the announced state is the real one; only users in two arrays need a look-up."""
    machine = Presence(PresenceSettings(timeout_s=TIMEOUT_S, announce_max=announce_max, interval_s=10))
    now, known = 0.0, {channel: set() for channel in CHANNELS}
    for kind, user, channel, number in [*plan, ("wait", "", "", 200.0)]:
        if kind == "wait":
            now += number
        elif kind == "leave":
            _follow(machine, known, machine.leave(user, [channel], now))
        else:
            visit = Visit(user, (channel,), kind == "beat", timeout_s=number)
            _follow(machine, known, machine.visit(visit, now))
        while (due := machine.due()) is not None and due <= now:
            _follow(machine, known, machine.run(due))
    assert known == {channel: set() for channel in CHANNELS}


def _follow(machine: Presence, known: dict[str, set[str]], events: list[PresenceEvent]) -> None:
    """A look-up returns the state after all of `events`, so the occupancy may differ from an event's."""
    for number, event in enumerate(events, 1):
        here = known[event.channel]
        if event.action == INTERVAL:
            changes = [(action, user) for action in DELTAS for user in (event.deltas or {}).get(action, ())]
            times = Counter(user for _, user in changes)
            for action, user in changes:
                coming = user in machine.here(event.channel) if times[user] > 1 else action == "join"
                (here.add if coming else here.discard)(user)
            looked_up_late = max(times.values(), default=0) > 1 and event.channel in {
                later.channel for later in events[number:]
            }
            assert looked_up_late or event.occupancy == len(here)
        elif event.action == "join":
            here.add(event.uuid or "")
        elif event.action not in QUIET:
            here.discard(event.uuid or "")
