"""Partitions and shards are functions of the id alone, the same everywhere and at any time."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_service.model.sharding import ShardMap, jump

VECTORS = json.loads((Path(__file__).parents[4] / "docs/schemas/shard.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: f"{row['id'][:12]}-{row['shards']}")
def test_the_published_vectors_hold(row: dict[str, str | int]) -> None:
    """What Functions and browsers compute is what Python computes."""
    one = ShardMap(int(row["partitions"]), int(row["shards"]))
    user = str(row["id"])
    assert (one.partition(user), one.shard(user)) == (row["partition"], row["shard"])
    assert one.channel(one.shard(user)) == row["channel"]
    assert ShardMap(one.partitions, one.shards, 2).channel(one.shard(user)) == row["channel2"]


@given(st.text(min_size=1, max_size=84).filter(lambda text: max(text) < "\ud800"), st.integers(1, 40))
def test_more_shards_never_move_a_user_to_another_partition(user: str, factor: int) -> None:
    """The shard's remainder is the partition, whatever the number of shards."""
    assert ShardMap(20, 20 * factor).shard(user) % 20 == ShardMap(20, 100).partition(user)


@given(st.integers(0, 2**64 - 1), st.integers(1, 500))
def test_one_more_bucket_moves_a_key_only_into_it(key: int, buckets: int) -> None:
    """The property of jump hashing."""
    assert jump(key, buckets + 1) in {jump(key, buckets), buckets}


def test_users_spread_evenly() -> None:
    """No shard of a hundred gets more than twice its share of 20,000 users."""
    counted = Counter(ShardMap().shard(f"user-{number}") for number in range(20_000))
    assert len(counted) == 100
    assert max(counted.values()) < 400


@pytest.mark.parametrize("levels", [1, 2])
def test_a_channel_names_its_shard(levels: int) -> None:
    """Both notations are read back; other channels are not shards."""
    shards = ShardMap(20, 200, levels)
    assert [shards.parse(shards.channel(shard)) for shard in range(200)] == list(range(200))
    assert shards.parse("inbox.ann") is None
    assert shards.parse("presence.shard-") is None
    assert ShardMap(20, 200, 3 - levels).parse(shards.channel(7)) is None


def test_shards_are_a_multiple_of_partitions() -> None:
    """Anything else is refused at once."""
    with pytest.raises(ValueError, match="multiple"):
        ShardMap(20, 90)


def test_while_the_number_changes_both_maps_are_subscribed_to_and_one_is_handed_out() -> None:
    """With the same notation the larger map contains the smaller; with another each shard has two channels."""
    grown = ShardMap(4, 128, also=ShardMap(4, 100))
    assert list(grown.shards_of(3)) == list(range(3, 128, 4))
    assert grown.channels(99) == ("presence.shard-99",)
    levelled = ShardMap(4, 100, also=ShardMap(4, 2048, 2))
    assert len(levelled.shards_of(0)) == 512
    assert levelled.channels(7) == ("presence.shard-7", "presence.shard-3.1")
    assert levelled.channels(2047) == ("presence.shard-3.511",)
    assert levelled.channel(7) == "presence.shard-7"


@given(st.text(min_size=1, max_size=20).filter(lambda text: max(text) < "\ud800"), st.booleans())
def test_the_channel_of_a_user_of_either_map_is_subscribed_to(user: str, grows: bool) -> None:
    """And parsed as a shard of the user's partition."""
    old, new = ShardMap(4, 100), ShardMap(4, 2048, 2)
    both = ShardMap(4, 2048, 2, old) if grows else ShardMap(4, 100, 1, new)
    heard = {name for shard in both.shards_of(both.partition(user)) for name in both.channels(shard)}
    for channel in (old.channel(old.shard(user)), new.channel(new.shard(user))):
        assert channel in heard
        assert channel in both.channels_of(user)
        assert (both.parse(channel) or 0) % 4 == both.partition(user)
