"""Who left and is still there with another device: one by one where few left, by channels where many did."""

from __future__ import annotations

import asyncio

from graph_service.model.sharding import ShardMap
from pubnub_bridge.errors import PubNubUnavailable
from pubnub_bridge.pubnub_api.presence_lookup import MAX_CONCURRENT_LOOKUPS, PresenceLookup
from pubnub_bridge.pubnub_api.sdk import Occupants

SHARDS = ShardMap(partitions=2, shards=4)
USERS = [f"u{number}" for number in range(40)]


class PubNub:
    """Who is where, and which calls were made."""

    def __init__(self, present: set[str], hidden: frozenset[str] = frozenset(), others: int = 0) -> None:
        self.present, self.hidden, self.others = present, hidden, others
        """Hidden users are counted, and missing on the pages; others are on every channel."""
        self.calls: list[str] = []
        self.fails = False
        self.in_flight = self.max_in_flight = 0

    async def where_now(self, user: str) -> frozenset[str]:
        """Always right."""
        self.calls.append(user)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        return frozenset({SHARDS.channel(SHARDS.shard(user))} if user in self.present else ())

    async def here_now(self, channel: str) -> Occupants:
        """The pages of one channel."""
        here = self._on(channel)
        return Occupants(occupancy=len(here), users=[user for user in here if user not in self.hidden])

    async def occupancy(self, channels: list[str]) -> dict[str, int]:
        """Or an error."""
        if self.fails:
            raise PubNubUnavailable(reason="no answer")
        self.calls += channels
        return {name: len(self._on(name)) for name in channels}

    def _on(self, channel: str) -> list[str]:
        others = [f"other{number}" for number in range(self.others)]
        return [
            user for user in sorted(self.present) if SHARDS.channel(SHARDS.shard(user)) == channel
        ] + others


def lookups(pubnub: PubNub, now: int = 100_000) -> PresenceLookup:
    """With a clock that stands still."""
    return PresenceLookup(pubnub=pubnub, shards=SHARDS, now=lambda: now)


def left(at: int = 50_000, number: int = 40) -> dict[str, int]:
    """Users who left at one moment."""
    return dict.fromkeys(USERS[:number], at)


async def test_few_users_are_looked_up_one_by_one_and_no_channel_is_listed() -> None:
    pubnub = PubNub({"u3"})
    assert set(await lookups(pubnub).still_there(left(number=5))) == {"u3"}
    assert pubnub.calls == USERS[:5]


async def test_of_many_users_only_those_on_a_listing_are_looked_up() -> None:
    """Forty left, two of them with one of their devices: one call for all channels, and one for each of the two."""
    pubnub = PubNub({"u3", "u30"})
    assert set(await lookups(pubnub).still_there(left())) == {"u3", "u30"}
    assert sorted(pubnub.calls) == sorted([*map(SHARDS.channel, range(4)), "u3", "u30"])


async def test_a_listing_that_may_be_older_than_a_leave_is_not_believed() -> None:
    """Here Now may be three seconds old: where a user left since, no channel is listed."""
    pubnub = PubNub(set())
    assert await lookups(pubnub).still_there(left() | {"u0": 97_001}) == {}
    assert pubnub.calls == USERS


async def test_users_missing_on_incomplete_pages_are_looked_up() -> None:
    """A user is counted and not named: it may be any of that channel."""
    pubnub = PubNub({"u3"}, hidden=frozenset({"u3"}))
    assert set(await lookups(pubnub).still_there(left())) == {"u3"}


async def test_all_users_of_a_channel_with_more_than_a_page_are_looked_up() -> None:
    """Its pages are not read."""
    pubnub = PubNub({"u3"}, others=1000)
    assert set(await lookups(pubnub).still_there(left())) == {"u3"}
    assert set(pubnub.calls) >= set(USERS)


async def test_all_users_are_looked_up_while_channels_cannot_be_listed() -> None:
    pubnub = PubNub({"u3"})
    pubnub.fails = True
    assert set(await lookups(pubnub).still_there(left())) == {"u3"}


async def test_the_next_batch_of_the_same_storm_lists_no_channel_again() -> None:
    """The cached listing is from after those leaves as well."""
    pubnub = PubNub(set())
    lookup = lookups(pubnub)
    for _ in range(2):
        assert await lookup.still_there(left()) == {}
    assert sorted(pubnub.calls) == sorted(map(SHARDS.channel, range(4)))


async def test_look_ups_in_flight_are_limited_however_many_users_are_in_conflict() -> None:
    """After an outage of PubNub thousands may be."""
    pubnub = PubNub({"u3"})
    users = [f"u{number}" for number in range(4 * MAX_CONCURRENT_LOOKUPS)]
    lookup = lookups(pubnub)
    seen = await asyncio.gather(*map(lookup.look_up, users))
    assert [one.user for one in seen if one.online] == ["u3"]
    assert pubnub.max_in_flight == MAX_CONCURRENT_LOOKUPS


async def test_a_listing_from_before_a_leave_is_not_believed_where_no_newer_one_can_be_had() -> None:
    """It is five seconds old; users who left since then and are back by now are looked up."""
    moment, pubnub = [100_000], PubNub(set())
    lookup = PresenceLookup(pubnub=pubnub, shards=SHARDS, now=lambda: moment[0])
    assert await lookup.still_there(left()) == {}
    moment[0], pubnub.fails, pubnub.present = 105_000, True, {"u3"}
    assert set(await lookup.still_there(left(at=101_500))) == {"u3"}
