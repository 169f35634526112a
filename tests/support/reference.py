"""The reference model: the rules of friendship in memory. Written from the rules, not from the queries."""

from __future__ import annotations

from dataclasses import dataclass, field

from graph_service.errors import BadInput, BlockedByCaller, FriendLimitReached, PendingLimitReached
from graph_service.model.model import Outcome, State

ACTIONS = ("ask", "remove", "cancel_or_decline", "block", "unblock")


@dataclass
class Reference:
    """Friendships, requests and blocks of a few users, and the changed pairs in the outbox."""

    friend_limit: int = 10_000
    pending_limit: int = 1_000
    friends: set[frozenset[str]] = field(default_factory=set)
    requests: set[tuple[str, str]] = field(default_factory=set)
    blocks: set[tuple[str, str]] = field(default_factory=set)
    outbox: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, me: str, other: str) -> Outcome:
        """Request or accept."""
        self._not_self(me, other)
        both = frozenset((me, other))
        if both in self.friends:
            return Outcome(state=State.FRIENDS, changed=False)
        if (me, other) in self.blocks:
            raise BlockedByCaller(id=other)
        if (me, other) in self.requests:
            return Outcome(state=State.REQUESTED, changed=False)
        if self._friends_of(me) >= self.friend_limit:
            raise FriendLimitReached(id=me, limit=self.friend_limit)
        if (other, me) in self.requests:
            if self._friends_of(other) >= self.friend_limit:
                raise FriendLimitReached(id=other, limit=self.friend_limit)
            self.requests.remove((other, me))
            self.friends.add(both)
            return self._changed(me, other, State.FRIENDS)
        if sum(asker == me for asker, _ in self.requests) >= self.pending_limit:
            raise PendingLimitReached(id=me, limit=self.pending_limit)
        self.requests.add((me, other))
        return self._changed(me, other, State.REQUESTED)

    def remove(self, me: str, other: str) -> Outcome:
        """Unfriend."""
        self._not_self(me, other)
        if frozenset((me, other)) not in self.friends:
            return Outcome(state=State.NONE, changed=False)
        self.friends.remove(frozenset((me, other)))
        return self._changed(me, other, State.NONE)

    def cancel_or_decline(self, me: str, other: str) -> Outcome:
        """End a request that the caller can see."""
        self._not_self(me, other)
        mine = {(me, other)} | (set() if (me, other) in self.blocks else {(other, me)})
        if not mine & self.requests:
            return Outcome(state=State.NONE, changed=False)
        self.requests -= mine
        return self._changed(me, other, State.NONE)

    def block(self, me: str, other: str) -> Outcome:
        """Block, and end everything between the two."""
        self._not_self(me, other)
        if (me, other) in self.blocks:
            return Outcome(state=State.BLOCKED, changed=False)
        self.blocks.add((me, other))
        between = frozenset((me, other)) in self.friends or {(me, other), (other, me)} & self.requests
        self.friends.discard(frozenset((me, other)))
        self.requests -= {(me, other), (other, me)}
        if between:
            self._changed(me, other, State.BLOCKED)
        return Outcome(state=State.BLOCKED, changed=True)

    def unblock(self, me: str, other: str) -> Outcome:
        """End a block; the request that it hid is a change."""
        self._not_self(me, other)
        if (me, other) not in self.blocks:
            return Outcome(state=State.NONE, changed=False)
        self.blocks.remove((me, other))
        if (other, me) in self.requests:
            self._changed(me, other, State.NONE)
        return Outcome(state=State.NONE, changed=True)

    def visible(self, me: str) -> dict[str, list[str]]:
        """Everything that one user can see, as lists of ids."""
        return {
            "friends": sorted(next(iter(pair - {me})) for pair in self.friends if me in pair),
            "in": sorted(a for a, b in self.requests if b == me and (me, a) not in self.blocks),
            "out": sorted(b for a, b in self.requests if a == me),
            "blocks": sorted(b for a, b in self.blocks if a == me),
        }

    def _friends_of(self, user: str) -> int:
        return sum(user in pair for pair in self.friends)

    def _changed(self, me: str, other: str, state: State) -> Outcome:
        low, high = sorted((me, other))
        self.outbox.append((low, high))
        return Outcome(state=state, changed=True)

    @staticmethod
    def _not_self(me: str, other: str) -> None:
        if me == other:
            raise BadInput(field="id", reason="is your own; friendships are between two people")
