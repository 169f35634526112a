"""An origin that runs for days uses no more memory than one that ran for minutes. Time is virtual."""

from __future__ import annotations

import gc
import random
import tracemalloc

from local_stack.origin.clock import Clock
from local_stack.origin.envelope import Envelope
from local_stack.origin.keyset import Keyset
from local_stack.origin.presence import Visit
from local_stack.origin.settings import KeysetSettings

PEOPLE, FRIENDS = 20, 8
KEPT_S = 60.0


class Load:
    """Users who connect and disconnect, receive messages, and are members of their friends' channels."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.freeze()
        settings = KeysetSettings(queue_s=KEPT_S, store=False)
        self.keyset = Keyset(
            publish_key="pub",
            subscribe_key="sub",
            secret_key="sec",
            clock=self.clock,
            settings=settings,
        )
        self.chance = random.Random(7)
        self.here: set[str] = set()

    def run(self, seconds: int) -> None:
        """Four operations a second."""
        for turn in range(seconds * 4):
            self.clock.advance(0.25)
            user, friend = (f"u{self.chance.randrange(PEOPLE):03}" for _ in range(2))
            self.keyset.publish(Envelope(channel=f"inbox.{user}", payload={"of": friend, "at": turn}))
            if turn % 3 == 0:
                self._befriends(user, friend, turn)
            if turn % 5 == 0:
                self._turns(user)
            self.keyset.tick(self.clock.now)

    def _befriends(self, user: str, friend: str, turn: int) -> None:
        objects, channel = self.keyset.objects, f"friends.{user}"
        objects.join(friend, channel, {"custom": {"addedAt": turn}}, self.clock.timetoken())
        if len(objects.users_of[channel]) > FRIENDS:
            objects.leave(next(iter(objects.users_of[channel])), channel)

    def _turns(self, user: str) -> None:
        channel = f"presence.shard-{int(user[1:]) % 8}"
        if user in self.here:
            self.here.discard(user)
            self.keyset.leave(user, [channel])
        else:
            self.here.add(user)
            self.keyset.visit(Visit(user, (channel,), explicit=True, timeout_s=20.0))


def test_an_origin_holds_no_more_after_twenty_minutes_than_after_seven() -> None:
    """Measured by Python's allocations, so any structure that grows is found."""
    life = Load()
    tracemalloc.start()
    try:
        held = []
        for _ in range(3):
            life.run(400)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[2] < held[0] * 1.05, held
