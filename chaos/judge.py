"""The judge: what must be true of inboxes, graph and Here Now, whatever was killed. Pure; knows no engine and no bridge.

Each function returns what is wrong, a sentence each; nothing where all is well. The rules are those that never bend
(docs/architecture.md): nothing lost, views equal the graph and the graph Here Now, no disclosure after an end.
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
class Flip:
    """A settled change as the graph showed it to somebody who kept looking."""

    user: str
    online: bool
    at: int
    before: int
    """The graph's clock, in microseconds, when the last look before began: it was not written yet."""
    after: int
    """The same when the look that saw it was over."""


@dataclass(frozen=True)
class End:
    """The end of a friendship whose commit was over at `from_`; `to` where it may have begun again."""

    one: str
    other: str
    from_: int
    to: int | None = None


@dataclass
class ClientRecord:
    """One client: who it is, whether it is connected, all it ever heard, and since when by connection."""

    user: str
    here: bool
    messages: list[Message] = field(default_factory=list)
    since: int = 0
    """The first message of the present connection."""
    synced: int | None = None
    """The graph's clock at which it was connected and surely flagged online; None where it is not."""


Graph = Mapping[str, Row]


def wrong_now(clients: Sequence[ClientRecord], graph: Graph, here_now: set[str]) -> list[str]:
    """Flags against Here Now, and each connected client's view against the graph."""
    found = [
        f"{user}: the graph says online={row.online}, Here Now says {user in here_now}"
        for user, row in graph.items()
        if row.online != (user in here_now)
    ]
    for client in clients:
        if client.here:
            shown = online(client.messages[client.since :])
            right = {
                user
                for user in graph[client.user].friends
                if graph[user].online and not graph[user].invisible
            }
            found += [f"{client.user} sees {user}, who is offline or hidden" for user in shown - right]
            found += [f"{client.user} does not see {user}, who is online" for user in right - shown]
    return found


def untold(
    clients: Sequence[ClientRecord],
    graph: Graph,
    flips: Sequence[Flip],
    changed: set[frozenset[str]],
    hid: set[str],
) -> list[str]:
    """Settled changes that an online friend's inbox misses: neither the change, nor a newer one, nor a newer sync.

    Left out: pairs whose friendship was `changed` meanwhile, and users who `hid`; others watch over those.
    """
    found = []
    for client in clients:
        if client.synced is None or client.user not in graph:
            continue
        newest = _newest(client.messages)
        newest_sync = max((sync.ts for sync in syncs(client.messages)), default=-1)
        for flip in flips:
            friends = flip.user in graph[client.user].friends
            settled_before = frozenset((client.user, flip.user)) not in changed and flip.user not in hid
            told = max(newest.get(flip.user, -1), newest_sync) >= flip.before
            if friends and settled_before and client.synced < flip.before and not told:
                state = "online" if flip.online else "offline"
                found.append(f"{client.user} was never told that {flip.user} was {state} at {flip.at}")
    return found


def _newest(messages: Sequence[Message]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for event in events(messages):
        if event["type"] in {"friend.online", "friend.offline", "friend.added"}:
            user = event["payload"]["userId"]
            newest[user] = max(newest.get(user, -1), micros(event["ts"]))
    return newest


def disordered(clients: Sequence[ClientRecord], hid: set[str]) -> list[str]:
    """An older state under a newer `ts`, or one event id for two different things.

    Those who `hid` are left out: they look like one who has been gone since then (docs/decisions/0003).
    """
    found = []
    for client in clients:
        said: dict[str, set[tuple[int, int]]] = defaultdict(set)
        kinds: dict[str, set[str]] = defaultdict(set)
        for event in _presence(client.messages):
            user = event["payload"]["userId"]
            if user not in hid:
                said[user].add((micros(event["ts"]), event["payload"]["at"]))
                kinds[event["eventId"]].add(event["type"])
        for user, pairs in said.items():
            ats = [at for _, at in sorted(pairs)]
            if ats != sorted(ats):
                found.append(f"{client.user} was told an older state of {user} under a newer time")
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
                found.append(f"{client.user} was told of {user} after the end of their friendship")
    return found


def _named(messages: Sequence[Message]) -> Iterator[tuple[str, int]]:
    for event in events(messages):
        ts = micros(event["ts"])
        if event["type"] == "friends.sync":
            yield from ((user, ts) for user in event["payload"]["onlineFriends"])
        elif event["type"] in {"friend.online", "friend.offline"}:
            yield event["payload"]["userId"], ts


def repeats(clients: Sequence[ClientRecord]) -> int:
    """Presence events that an inbox got more than once: allowed, and counted."""
    counts: Counter[tuple[str, str]] = Counter()
    for client in clients:
        counts.update((client.user, event["eventId"]) for event in _presence(client.messages))
    return sum(count - 1 for count in counts.values())


def _presence(messages: Sequence[Message]) -> Iterator[Message]:
    for event in events(messages):
        if event["type"] in {"friend.online", "friend.offline"}:
            yield event
