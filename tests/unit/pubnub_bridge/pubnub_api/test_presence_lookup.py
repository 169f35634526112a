"""Who left and is there all the same: one by one where few left, by channels where many did."""

from __future__ import annotations

import asyncio

from graph_service.model.sharding import ShardMap
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.pubnub_api.presence_lookup import MAX_LISTINGS, PresenceLookup
from pubnub_bridge.pubnub_api.sdk import Occupants

SHARDS = ShardMap(partitions=2, shards=4)
PEOPLE = [f"u{number}" for number in range(40)]


class PubNub:
    """Who is where, and what was asked."""

    def __init__(self, present: set[str], hidden: frozenset[str] = frozenset(), strangers: int = 0) -> None:
        self.present, self.hidden, self.strangers = present, hidden, strangers
        """The hidden are counted, and missing on the pages."""
        self.asked: list[str] = []
        self.fails = False
        self.under_way = self.most_under_way = 0

    async def where_now(self, user: str) -> frozenset[str]:
        """Always right."""
        self.asked.append(user)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return frozenset({SHARDS.channel(SHARDS.shard(user))} if user in self.present else ())

    async def here_now(self, channel: str) -> Occupants:
        """The pages of one channel."""
        here = self._on(channel)
        return Occupants(len(here), [user for user in here if user not in self.hidden])

    async def occupancy(self, channels: list[str]) -> dict[str, int]:
        """Numbers."""
        if self.fails:
            raise PubNubUnavailable(reason="no answer")
        self.asked += channels
        return {name: len(self._on(name)) for name in channels}

    def _on(self, channel: str) -> list[str]:
        others = [f"stranger{number}" for number in range(self.strangers)]
        return [
            user for user in sorted(self.present) if SHARDS.channel(SHARDS.shard(user)) == channel
        ] + others


def lookups(pubnub: PubNub, now: int = 100_000) -> PresenceLookup:
    """With a clock that stands still."""
    return PresenceLookup(pubnub, SHARDS, lambda: now)


def left(at: int = 50_000, number: int = 40) -> dict[str, int]:
    """Some left at one moment."""
    return dict.fromkeys(PEOPLE[:number], at)


async def test_few_are_looked_up_one_by_one() -> None:
    """No channel is asked."""
    pubnub = PubNub({"u3"})
    assert set(await lookups(pubnub).still_there(left(number=5))) == {"u3"}
    assert pubnub.asked == PEOPLE[:5]


async def test_of_a_crowd_only_who_is_listed_is_looked_up() -> None:
    """Forty left, two of them one device only: one question for all channels, and one for each of the two."""
    pubnub = PubNub({"u3", "u30"})
    assert set(await lookups(pubnub).still_there(left())) == {"u3", "u30"}
    assert sorted(pubnub.asked) == sorted([*map(SHARDS.channel, range(4)), "u3", "u30"])


async def test_a_list_that_may_be_older_than_a_leave_says_nothing_of_it() -> None:
    """Here Now may be three seconds old: where somebody left since, nobody's channel is asked."""
    pubnub = PubNub(set())
    assert await lookups(pubnub).still_there(left() | {"u0": 97_001}) == {}
    assert pubnub.asked == PEOPLE


async def test_who_is_missing_on_incomplete_pages_is_looked_up() -> None:
    """Somebody is counted and not named: it may be anybody of that channel."""
    pubnub = PubNub({"u3"}, hidden=frozenset({"u3"}))
    assert set(await lookups(pubnub).still_there(left())) == {"u3"}


async def test_of_a_channel_with_more_than_a_page_all_are_looked_up() -> None:
    """Its pages are not even asked for."""
    pubnub = PubNub({"u3"}, strangers=1000)
    assert set(await lookups(pubnub).still_there(left())) == {"u3"}
    assert set(pubnub.asked) >= set(PEOPLE)


async def test_while_channels_cannot_be_listed_all_are_looked_up() -> None:
    """The way it was."""
    pubnub = PubNub({"u3"})
    pubnub.fails = True
    assert set(await lookups(pubnub).still_there(left())) == {"u3"}


async def test_the_next_batch_of_the_same_storm_asks_no_channel_again() -> None:
    """What is known is from after those leaves as well."""
    pubnub = PubNub(set())
    known = lookups(pubnub)
    for _ in range(2):
        assert await known.still_there(left()) == {}
    assert sorted(pubnub.asked) == sorted(map(SHARDS.channel, range(4)))


async def test_however_many_are_in_doubt_only_so_many_are_looked_up_at_once() -> None:
    """After an outage of PubNub each of thousands may be a doubt of its own."""
    pubnub = PubNub({"u3"})
    crowd = [f"u{number}" for number in range(4 * MAX_LISTINGS)]
    shared = lookups(pubnub)
    seen = await asyncio.gather(*map(shared.look_up, crowd))
    assert [one.user for one in seen if one.online] == ["u3"]
    assert pubnub.most_under_way == MAX_LISTINGS
