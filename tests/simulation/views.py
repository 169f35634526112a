"""What must hold when all is at rest: clients, graph, PubNub and the product's back end agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pubnub_bridge.client.friend_list import FriendList
from tests.simulation.judge import Judge
from tests.simulation.process import Surroundings


@dataclass
class Client:
    """One user's app."""

    user: str
    friends: FriendList = field(default_factory=FriendList)
    connected: bool = False
    since: int = 0
    """The step at which the connection began."""
    waiting: list[dict[str, Any]] = field(default_factory=list)


class FinalViews:
    """Compares what clients and the back end see with the graph, and the graph with PubNub."""

    def __init__(
        self,
        around: Surroundings,
        judge: Judge,
        clients: Mapping[str, Client],
        changed: Mapping[frozenset[str], int],
    ) -> None:
        self.graph, self.pubnub = around.graph, around.pubnub
        self.judge = judge
        self.clients = clients
        self.changed = changed
        """The step at which each pair's relation last changed."""

    def check(self) -> None:
        """Report to the judge what differs."""
        for user, client in self.clients.items():
            flag, truth = self.graph.states[user].online, self.pubnub.present[user]
            if flag != truth:
                self.judge.say(f"the graph says {user} online={flag}, PubNub says {truth}")
            refused = user in {inbox for inbox, _ in self.pubnub.refused}
            if client.connected and not refused:
                self._check_view(user)
            self._check_back_end(user)
        self._check_changes()

    def _check_view(self, user: str) -> None:
        shown = self.clients[user].friends.online
        right = {
            other
            for other, state in self.graph.states.items()
            if self.graph.are_friends(user, other) and state.online and not state.invisible
        }
        if shown - self.judge.unlogged != right - self.judge.unlogged:
            self.judge.say(f"{user} sees {sorted(shown)} online instead of {sorted(right)}")
        for pair, step in self.changed.items():
            if user in pair and step > self.clients[user].since:
                (other,) = pair - {user}
                relation = self.clients[user].friends.relations.get(other)
                if relation != self._relation(user, other):
                    self.judge.say(
                        f"{user} sees that {other} is {relation}, not {self._relation(user, other)}"
                    )

    def _relation(self, me: str, other: str) -> str:
        if self.graph.are_friends(me, other):
            return "added"
        asked = (me, other) in self.graph.requests
        asking = (other, me) in self.graph.requests and (me, other) not in self.graph.blocks
        return "requested" if asked or asking else "removed"

    def _check_back_end(self, user: str) -> None:
        """The back end's last event on users who never hid is the graph's state."""
        said = [e for e in self.judge.posted if e["payload"]["userId"] == user and "at" in e["payload"]]
        said = [e for e in said if e["type"] in {"friend.online", "friend.offline"}]
        changed = len(self.graph.history[user]) > 1
        exempt = self.judge.ever_hidden | self.judge.unlogged
        if user in exempt or self.judge.stepped_back or not (said or changed):
            return
        last = max(said, key=lambda e: (e["ts"], e["payload"]["at"]), default={"type": "friend.offline"})
        if last["type"] != ("friend.online" if self.graph.states[user].online else "friend.offline"):
            self.judge.say(f"the back end was last sent {last['type']} of {user}")

    def _check_changes(self) -> None:
        """The back end's last event on two users is what stands between them, seen from one of the two ends."""
        for pair in self.changed:
            a, b = sorted(pair)
            said = [e for e in self.judge.posted if e["payload"]["userId"] in pair and self._about(e, pair)]
            last = max((e["ts"] for e in said), default="")
            kinds = {e["type"].removeprefix("friend.") for e in said if e["ts"] == last}
            right = {self._relation(a, b), self._relation(b, a)}
            if not kinds or (not kinds <= right and not self.judge.stepped_back):
                self.judge.say(f"the back end was sent {sorted(kinds)} of {a} and {b}, not {sorted(right)}")

    @staticmethod
    def _about(event: dict[str, Any], pair: frozenset[str]) -> bool:
        ends = event["eventId"].split("_")[2:4]
        return event["eventId"].startswith("evt_relation_") and frozenset(ends) == pair
