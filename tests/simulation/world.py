"""The simulated world: a tape of numbers chooses what happens next; at its end everything is let come to rest.

`simulate` returns what is wrong with the world afterwards: views that differ from the graph, a graph that differs
from PubNub, changes that nobody was told, disclosures after the end of a friendship.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from graph_service.model.timestamps import parse_microseconds
from pubnub_bridge.model.notification import SyncNotification, encode
from tests.simulation import mutants
from tests.simulation.engines import CACHE, GraphModel, PubNub
from tests.simulation.owner import STORM, Outside, Owner
from tests.simulation.rules import Rules

USERS = ("ann", "bob", "cat")


@dataclass
class Client:
    """One user's app."""

    user: str
    view: mutants.MutantView
    connected: bool = False
    since: int = 0
    """The step at which the connection began."""
    waiting: list[dict[str, Any]] = field(default_factory=list)


class World:
    """Everything, moved by the tape."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.pubnub = PubNub(USERS)
        self.graph = GraphModel(USERS, rules)
        self.out = Outside(self.pubnub, self.graph, rules)
        self.out.publish = self._published
        self.clients = {user: Client(user, mutants.MutantView(rules)) for user in USERS}
        self.owners = [Owner(self.out)]
        self.wrong: list[str] = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        """All that was published, by inbox."""
        self.spans: dict[frozenset[str], list[list[int]]] = {}
        self.hidden_at: dict[str, int] = {}
        self.steps = 0
        self.changed: dict[frozenset[str], int] = {}
        self.graph.befriend("ann", "bob")
        self.graph.befriend("bob", "cat")
        self._note_friends()

    # What people do

    def toggle(self, user: str) -> None:
        """The app comes or goes."""
        client = self.clients[user]
        client.connected = not client.connected
        if client.connected:
            client.waiting.clear()
            client.since = self.steps
            if self.rules.client_asks:
                self.out.inbox.append(encode([SyncNotification(user, reason="asked")]))
        self.pubnub.change(user, client.connected)

    def everybody(self, online: bool) -> None:
        """A network goes, or comes back."""
        for user in USERS:
            if self.clients[user].connected != online:
                self.toggle(user)

    def befriend(self, a: str, b: str) -> None:
        """Friends or not, turned round."""
        if self.graph.are_friends(a, b):
            self.graph.unfriend(a, b)
        else:
            self.graph.befriend(a, b)
        self._note_friends()

    def block(self, a: str, b: str) -> None:
        """Ends it, or lifts the block."""
        if (a, b) in self.graph.blocks:
            self.graph.blocks.discard((a, b))
        else:
            self.graph.block(a, b)
        self._note_friends()

    def hide(self, user: str) -> None:
        """Appear offline, or visible again: an API call, committed with what the relay has to tell of it."""
        person = self.graph.people[user]
        self.hidden_at[user] = person.at
        self.graph.hide(user, not person.invisible)

    def repeat(self, which: int) -> None:
        """PubNub, or a webhook, says something again, and late."""
        events = self.pubnub.events
        if events:
            events.append(events[which % len(events)])

    def lose(self) -> None:
        """The newest event not read yet is lost."""
        if len(self.pubnub.events) > self.out.cursor:
            self.pubnub.events.pop()
            self.pubnub.lost = True

    def swap(self) -> None:
        """Two events not read yet come in the other order."""
        events = self.pubnub.events
        if len(events) - self.out.cursor >= 2:
            events[-1], events[-2] = events[-2], events[-1]

    def future(self) -> None:
        """A stamp from a wrong clock, ten minutes ahead."""
        events = self.pubnub.events
        if len(events) > self.out.cursor:
            last = events[-1]
            events[-1] = type(last)(last.user, last.online, last.at + 600_000, last.shard, last.reason)
            self.pubnub.lost = True

    def crash(self, which: int) -> None:
        """A process dies at whatever row it is; another takes over."""
        self.owners[which % len(self.owners)] = Owner(self.out)

    def second(self) -> None:
        """A second process believes to be the owner too, or the first one goes."""
        if len(self.owners) == 1:
            self.owners.append(Owner(self.out))
        else:
            self.owners.pop(0)

    def clock_back(self) -> None:
        """The graph moves to a server whose clock is behind; reads under way are lost with the old one."""
        self.graph.clock -= 3
        self.out.stepped_back = True
        for owner in self.owners:
            owner.reads_lost()

    # What goes on

    def deliver(self, user: str, which: int, twice: bool) -> bool:
        """One message reaches a client, in any order, maybe twice."""
        client = self.clients[user]
        if not client.waiting:
            return False
        message = client.waiting[which % len(client.waiting)]
        if not twice:
            client.waiting.remove(message)
        if client.connected:
            client.view.apply(message)
        return True

    def _published(self, inbox: str, body: bytes) -> None:
        message = json.loads(body)
        self.heard.append((inbox, message))
        self._check_privacy(inbox, message)
        self.clients[inbox].waiting.append(message)

    def step(self, action: str, b: int) -> None:
        """One thing happens; `b` says to whom."""
        user, other = USERS[b % 3], USERS[(b + 1 + (b // 3) % 2) % 3]
        owner = self.owners[b % len(self.owners)]
        works: dict[str, Callable[[], object]] = {
            "poll": owner.poll,
            "late append": owner.late_append,
            "read seen": owner.read_seen,
            "settle": owner.settle,
            "delete seen": owner.delete_seen,
            "relay": owner.relay,
            "read inbox": owner.read_inbox,
            "send": lambda: owner.send(2),
            "send badly": lambda: owner.send(b % 2),
            "delete inbox": owner.delete_inbox,
            "look up": owner.look_up,
            "deliver": lambda: self.deliver(user, 0, False),
            "deliver late": lambda: self.deliver(user, b // 3, False),
            "deliver twice": lambda: self.deliver(user, b // 3, True),
            "toggle": lambda: self.toggle(user),
            "a moment": lambda: self.advance(1 + b % 3),
            "half a hold": lambda: self.advance(2500),
            "a hold": lambda: self.advance(6000),
            "coarse clock": self.coarse,
            "befriend": lambda: self.befriend(user, other),
            "block": lambda: self.block(user, other),
            "hide": lambda: self.hide(user),
            "repeat": lambda: self.repeat(b // 3),
            "lose": self.lose,
            "swap": self.swap,
            "future": self.future,
            "crash": lambda: self.crash(b),
            "second owner": self.second,
            "clock back": self.clock_back,
            "reconcile": lambda: owner.reconcile(b * 37 % CACHE, user if b % 4 == 0 else ""),
            "replica": self.graph.copy,
            "window": lambda: setattr(owner, "window", float(b % 3) * 3),
            "work": lambda: self.work(owner),
            "storm mode": lambda: setattr(self.out, "marks", STORM),
            "everybody goes": lambda: self.everybody(False),
            "everybody comes": lambda: self.everybody(True),
            "syncs admitted": lambda: setattr(owner, "admitted", b % 2),
        }
        works[action]()
        self.steps += 1

    def work(self, owner: Owner) -> None:
        """A process gets on with everything for a while."""
        for _ in range(12):
            owner.poll(), owner.read_seen(), owner.settle(), owner.delete_seen(), owner.relay()
            owner.read_inbox(), owner.send(2), owner.delete_inbox()

    def advance(self, milliseconds: int) -> None:
        """Time goes on."""
        self.pubnub.now += milliseconds

    def coarse(self) -> None:
        """The graph's clock stands still from the reads before the next commit to those after it."""
        self.graph.clock += 1
        self.graph.coarse = 2

    # What must hold

    def rest(self) -> None:
        """Everything under way is finished by one owner; what PubNub lost is found by reconciling, nothing else is."""
        self.owners = [self.owners[-1]]
        owner = self.owners[0]
        owner.admitted = 1
        for _ in range(3):
            for _ in range(400):
                if not self._go_on(owner):
                    break
            else:
                self.wrong.append("never comes to rest")
                return
            self.advance(10_000)
            self.graph.clock = max(self.graph.clock, self.out.highest) + 1
            if self.pubnub.lost:
                owner.reconcile(0)
        self._check()

    def _go_on(self, owner: Owner) -> bool:
        self.advance(2000)
        if self.graph.clock < self.out.highest + self.out.stepped_back:
            self.graph.clock = self.out.highest + 1
        moved = [owner.poll(), owner.late_append(), owner.read_seen(), owner.look_up()]
        for _ in range(40):
            if not owner.settle():
                break
            moved.append(True)
        moved += [owner.delete_seen(), owner.relay(), owner.read_inbox()]
        for _ in range(20):
            if not owner.send(2):
                break
            moved.append(True)
        moved.append(owner.delete_inbox())
        moved += [self.deliver(user, 0, False) for user in USERS]
        return any(moved) or len(owner.hold) > 0

    def _check(self) -> None:
        for user in USERS:
            flag, truth = self.graph.people[user].online, self.pubnub.present[user]
            if flag != truth:
                self.wrong.append(f"the graph says {user} online={flag}, PubNub says {truth}")
            if self.clients[user].connected:
                self._check_view(user)
        self.owners[0].look_out()
        if self.owners[0].storms.on:
            self.wrong.append("a storm is still on")
        if self.out.seen.entries or self.out.inbox.entries:
            self.wrong.append("entries were left in the streams")

    def _check_view(self, user: str) -> None:
        shown = self.clients[user].view.online
        right = {
            other
            for other, person in self.graph.people.items()
            if self.graph.are_friends(user, other) and person.online and not person.invisible
        }
        if shown != right:
            self.wrong.append(f"{user} sees {sorted(shown)} online instead of {sorted(right)}")
        for pair, step in self.changed.items():
            if user in pair and step > self.clients[user].since:
                (other,) = pair - {user}
                now = "added" if self.graph.are_friends(user, other) else "removed"
                if self.clients[user].view.relations.get(other) != now:
                    self.wrong.append(f"{user} was not told that {other} was {now}")

    def _note_friends(self) -> None:
        for a in USERS:
            for b in USERS:
                pair = frozenset((a, b))
                spans = self.spans.setdefault(pair, [])
                open_ = bool(spans) and spans[-1][1] < 0
                if self.graph.are_friends(a, b) and not open_:
                    spans.append([self.graph.clock, -1])
                    self.changed[pair] = self.steps
                elif open_ and not self.graph.are_friends(a, b):
                    spans[-1][1] = self.graph.clock
                    self.changed[pair] = self.steps

    def _check_privacy(self, inbox: str, message: dict[str, Any]) -> None:
        events = message["payload"]["events"] if message["type"] == "friend.batch" else [message]
        ended = {
            e["payload"]["userId"]: parse_microseconds(e["ts"])
            for e in events
            if e["type"] == "friend.removed"
        }
        for event in events:
            kind, payload, ts = event["type"], event["payload"], parse_microseconds(event["ts"])
            named = payload["onlineFriends"] if kind == "friends.sync" else [payload["userId"]]
            if kind in {"friends.sync", "friend.online", "friend.offline"}:
                for user in named:
                    self._check_disclosed(inbox, user, ts)
            if kind in {"friend.online", "friend.offline"} and ts < ended.get(payload["userId"], -1):
                self.wrong.append(f"{inbox} was told of {payload['userId']} although the end was queued")
            if kind == "friend.offline":
                self._check_hidden(payload)

    def _check_disclosed(self, inbox: str, user: str, ts: int) -> None:
        spans = self.spans.get(frozenset((inbox, user)), [])
        if not self.out.stepped_back and not any(end < 0 or end > ts for _, end in spans):
            self.wrong.append(f"{inbox} was told of {user} by a read after the end of their friendship")

    def _check_hidden(self, payload: dict[str, Any]) -> None:
        user = payload["userId"]
        if self.graph.people[user].invisible and payload["at"] > self.hidden_at[user]:
            self.wrong.append(f"what invisible {user} does was told")


def simulate(tape: Sequence[tuple[str, int]], rules: Rules | None = None) -> list[str]:
    """Play a tape; returns what was wrong, nothing where all is well."""
    rules = rules or Rules()
    with mutants.letters(rules):
        world = World(rules)
        for action, number in tape:
            world.step(action, number)
            if world.wrong:
                return world.wrong
        world.rest()
    return world.wrong
