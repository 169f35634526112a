"""Judge of a run: invariants of inboxes, graph and Here Now that must hold whatever was killed. Pure.

Each function returns the violations, one sentence each. Invariants: nothing is lost, views equal the graph and the graph
equals Here Now, nothing is disclosed after the end of a friendship.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.shown import Message, events, micros, online, syncs


@dataclass(frozen=True)
class Row:
    """One user in the graph."""

    online: bool
    at: int
    invisible: bool
    friends: frozenset[str]


@dataclass(frozen=True)
class CommittedChange:
    """A committed change as the observer of the graph saw it."""

    user: str
    online: bool
    at: int
    before: int
    """The graph's clock in microseconds when the previous poll began: the change was not written yet."""
    after: int
    """The graph's clock when the poll that saw the change ended."""


@dataclass(frozen=True)
class End:
    """The end of a friendship, committed before `from_`; from `to` on it may exist again."""

    one: str
    other: str
    from_: int
    to: int | None = None


@dataclass
class ClientRecord:
    """One client: its user, whether it is connected, and all messages it ever received."""

    user: str
    connected: bool
    messages: list[Message] = field(default_factory=list)
    connection_start: int = 0
    """Index of the first message of the present connection."""
    synced_at: int | None = None
    """The graph's clock at which it was connected and flagged online. None where it is not."""


Graph = Mapping[str, Row]


def wrong_now(clients: Sequence[ClientRecord], graph: Graph, here_now: set[str]) -> list[str]:
    """Compare flags with Here Now, and each connected client's view with the graph."""
    found = [
        f"{user}: the graph says online={row.online}, Here Now says {user in here_now}"
        for user, row in graph.items()
        if row.online != (user in here_now)
    ]
    for client in clients:
        if client.connected:
            shown = online(client.messages[client.connection_start :])
            right = {
                user
                for user in graph[client.user].friends
                if graph[user].online and not graph[user].invisible
            }
            found += [f"{client.user} sees {user}, who is offline or hidden" for user in shown - right]
            found += [f"{client.user} does not see {user}, who is online" for user in right - shown]
    return found


def missing_changes(
    clients: Sequence[ClientRecord],
    graph: Graph,
    committed_changes: Sequence[CommittedChange],
    changed: set[frozenset[str]],
    hidden: set[str],
) -> list[str]:
    """Committed changes that an online friend's inbox misses: neither the change, nor a newer one, nor a newer sync.

    Ignores pairs whose friendship `changed` during the cycle, and `hidden` users; other rules cover these.
    """
    found = []
    for client in clients:
        if client.synced_at is None or client.user not in graph:
            continue
        newest = _newest(client.messages)
        newest_sync = max((sync.ts for sync in syncs(client.messages)), default=-1)
        for change in committed_changes:
            friends = change.user in graph[client.user].friends
            comparable = frozenset((client.user, change.user)) not in changed and change.user not in hidden
            received = max(newest.get(change.user, -1), newest_sync) >= change.before
            if friends and comparable and client.synced_at < change.before and not received:
                state = "online" if change.online else "offline"
                found.append(
                    f"{client.user} was never notified that {change.user} was {state} at {change.at}"
                )
    return found


def _newest(messages: Sequence[Message]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for event in events(messages):
        if event["type"] in {"friend.online", "friend.offline", "friend.added"}:
            user = event["payload"]["userId"]
            newest[user] = max(newest.get(user, -1), micros(event["ts"]))
    return newest


def disordered(clients: Sequence[ClientRecord], hidden: set[str]) -> list[str]:
    """An older state under a newer `ts`, or one event id for two different things.

    Ignores `hidden` users, who appear to be offline since they hid (docs/decisions/0003).
    """
    found = []
    for client in clients:
        states: dict[str, set[tuple[int, int]]] = defaultdict(set)
        kinds: dict[str, set[str]] = defaultdict(set)
        for event in _presence(client.messages):
            user = event["payload"]["userId"]
            if user not in hidden:
                states[user].add((micros(event["ts"]), event["payload"]["at"]))
                kinds[event["eventId"]].add(event["type"])
        for user, pairs in states.items():
            ats = [at for _, at in sorted(pairs)]
            if ats != sorted(ats):
                found.append(f"{client.user} received an older state of {user} under a newer time")
        found += [f"{client.user}: {one} names {sorted(two)}" for one, two in kinds.items() if len(two) > 1]
    return found


def disclosed(clients: Sequence[ClientRecord], ends: Sequence[End]) -> list[str]:
    """Presence that was read after the end of a friendship had been committed."""
    spans: dict[tuple[str, str], list[End]] = defaultdict(list)
    for end in ends:
        spans[end.one, end.other].append(end)
        spans[end.other, end.one].append(end)
    found = []
    for client in clients:
        for user, ts in _named(client.messages):
            ended = spans.get((client.user, user), ())
            if any(end.from_ < ts and (end.to is None or ts < end.to) for end in ended):
                found.append(f"{client.user} was notified of {user} after the end of their friendship")
    return found


def _named(messages: Sequence[Message]) -> Iterator[tuple[str, int]]:
    for event in events(messages):
        ts = micros(event["ts"])
        if event["type"] == "friends.sync":
            yield from ((user, ts) for user in event["payload"]["onlineFriends"])
        elif event["type"] in {"friend.online", "friend.offline"}:
            yield event["payload"]["userId"], ts


def repeats(clients: Sequence[ClientRecord]) -> int:
    """Number of presence events that an inbox received more than once, which is allowed."""
    counts: Counter[tuple[str, str]] = Counter()
    for client in clients:
        counts.update((client.user, event["eventId"]) for event in _presence(client.messages))
    return sum(count - 1 for count in counts.values())


def _presence(messages: Sequence[Message]) -> Iterator[Message]:
    for event in events(messages):
        if event["type"] in {"friend.online", "friend.offline"}:
            yield event
