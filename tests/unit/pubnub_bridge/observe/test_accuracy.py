"""Which of the sampled views count as wrong. PubNub and the graph are sets; the wait is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from prometheus_client import REGISTRY

from graph_service.model.model import Presence
from graph_service.model.sharding import ShardMap
from pubnub_bridge.observe.accuracy import Accuracy, settling_seconds
from pubnub_bridge.pubnub_api.presence_lookup import PresenceLookup
from pubnub_bridge.pubnub_api.sdk import Occupants
from pubnub_bridge.settings import Settings

SHARDS = ShardMap(1, 1)


class World:
    """Flags and presence, and what happens while the sampler waits."""

    def __init__(self, flagged: set[str], present: set[str], unknown: frozenset[str] = frozenset()) -> None:
        self.flagged, self.present, self.unknown = flagged, present, unknown
        self.waited: list[float] = []
        self.while_waiting: Callable[[], None] = lambda: None

    async def online_in_shards(self, shards: Sequence[int]) -> Mapping[str, int]:
        return dict.fromkeys(self.flagged, 0)

    async def presence(self, ids: Sequence[str]) -> list[Presence]:
        """Of those whom the graph knows."""
        return [
            Presence(id=one, online=one in self.flagged, last_seen=0)
            for one in ids
            if one not in self.unknown
        ]

    async def here_now(self, channel: str) -> Occupants:
        """Presence."""
        return Occupants(occupancy=len(self.present), users=sorted(self.present))

    async def where_now(self, user: str) -> frozenset[str]:
        return frozenset({SHARDS.channel(0)} if user in self.present else ())

    async def occupancy(self, channels: list[str]) -> dict[str, int]:
        return dict.fromkeys(channels, len(self.present))

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.while_waiting()

    async def sample(self) -> float | None:
        """One sample of everybody."""
        lookups = PresenceLookup(pubnub=self, shards=SHARDS, now=lambda: 0)
        return await Accuracy(
            flags=self, lookups=lookups, size=20, settling_seconds=10.0, sleep=self.sleep
        ).sample(0)


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("friends_view_checks_total", {"result": result}) or 0.0


async def test_right_views_cost_no_wait() -> None:
    """Flag and presence agree."""
    world = World({"ann", "ben"}, {"ann", "ben"})
    assert await world.sample() == 1.0
    assert world.waited == []


async def test_a_stale_and_a_missing_flag_are_wrong_when_they_remain_after_the_debounce_time() -> None:
    """One in each direction, of four views; the counters say the same as the share."""
    right, wrong = counted("right"), counted("wrong")
    world = World({"ann", "ben", "ghost"}, {"ann", "ben", "missing"})
    assert await world.sample() == 0.5
    assert world.waited == [10.0]
    assert (counted("right") - right, counted("wrong") - wrong) == (2, 2)


async def test_a_flag_that_follows_within_debounce_time_and_slack_is_right() -> None:
    """The difference was the debounce time."""
    world = World({"ann"}, {"ann", "late"})
    world.while_waiting = lambda: world.flagged.add("late")
    assert await world.sample() == 1.0


async def test_a_user_who_changed_again_in_between_is_not_wrong() -> None:
    """A new change has a new debounce time."""
    world = World({"ann"}, {"ann", "brief"})

    def left_and_flagged() -> None:
        world.present.discard("brief")
        world.flagged.add("brief")

    world.while_waiting = left_and_flagged
    assert await world.sample() == 1.0


async def test_presence_of_an_unknown_user_is_no_view() -> None:
    """No friend can see them."""
    world = World(set(), {"unknown"}, frozenset({"unknown"}))
    assert await world.sample() is None


@pytest.mark.parametrize(("debouncers", "wanted"), [((5, 5, 5), 10.0), ((1, 2, 20), 25.0)])
def test_the_wait_is_the_longest_debounce_time_and_five_seconds(
    debouncers: tuple[float, float, float], wanted: float
) -> None:
    online, leave, timeout = debouncers
    settings = Settings.model_construct(
        debounce_online_seconds=online, debounce_leave_seconds=leave, debounce_timeout_seconds=timeout
    )
    assert settling_seconds(settings) == wanted
