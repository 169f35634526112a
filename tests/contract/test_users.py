"""Users, bulk upserts and suggestions on real Neo4j."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import combinations

import pytest

from graph_service.errors import UserNotFound
from graph_service.friends.bulk import Bulk
from graph_service.friends.friends import Friends, ignore_changes
from graph_service.friends.presence_flags import Flags
from graph_service.friends.suggestions import SuggestionsBusy, SuggestionsFor
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.model import Flag, Pair, PairOutcome
from tests.contract.test_flags import friends_of
from tests.contract.test_friends import create_users, outbox, visible


class Memory:
    """A cache in a dict."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        """The answer."""
        return self.answers.get(key)

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keeps an answer."""
        assert seconds > 0
        self.answers[key] = value

    async def drop(self, keys: Sequence[str]) -> None:
        """Forgets answers."""
        for key in keys:
            self.answers.pop(key, None)


async def test_a_user_is_created_once_and_renamed_after(graph: Graph) -> None:
    """The result says which; the shard is a function of the id."""
    users = Users(graph=graph, shard_of=len, changed=ignore_changes, created=ignore_created)
    assert await users.upsert("ann", "Ann")
    assert not await users.upsert("ann", "Ann B.")
    upserted = await users.upsert_many(
        [UserProfile("ann", "Ann C."), UserProfile("ben", "Ben"), UserProfile("ben", "Benny")]
    )
    assert (list(upserted.created), list(upserted.renamed)) == (["ben"], ["ann"])
    exported = await users.export("ben")
    assert exported["properties"] == {"id": "ben", "name": "Benny", "shard": 3}


async def test_an_export_has_the_users_own_relations_and_no_block_by_others(graph: Graph) -> None:
    """Nor a request that the user's own block hides."""
    users = await create_users(graph, "ann", "ben", "cat", "dan", "eve")
    friends = Friends(graph=graph, changed=ignore_changes)
    await friends_of(graph, "ann", "ben")
    await friends.ask("ann", "cat")
    await friends.block("dan", "ann")
    await friends.block("ann", "eve")
    await friends.ask("eve", "ann")
    exported = await users.export("ann")
    ids = {
        what: [id_ for id_, _ in exported[what]] for what in ("friends", "requested", "requests", "blocked")
    }
    assert ids == {"friends": ["ben"], "requested": ["cat"], "requests": [], "blocked": ["eve"]}


async def test_an_erase_leaves_nothing_and_notifies_friends(graph: Graph) -> None:
    """A report for each store; a user who only blocked or was blocked is not notified."""

    async def cache(_user: str) -> dict[str, int]:
        return {"dropped": 2}

    await create_users(graph, "ann", "ben", "cat", "dan")
    users = Users(
        graph=graph,
        shard_of=lambda _: 0,
        erasers={"cache": cache},
        changed=ignore_changes,
        created=ignore_created,
    )
    friends = Friends(graph=graph, changed=ignore_changes)
    await friends_of(graph, "ann", "ben")
    await friends.ask("ann", "cat")
    await friends.block("ann", "dan")
    await graph.statement("MATCH (o:Outbox) DELETE o")
    report = await users.erase("ann")
    assert report == {"graph": {"friends": 1, "requests": 1, "blocks": 1, "told": 2}, "cache": {"dropped": 2}}
    assert await outbox(graph) == [("ann", "ben"), ("ann", "cat")]
    assert (await visible(friends, "ben"))["friends"] == []
    with pytest.raises(UserNotFound):
        await users.erase("ann")
    with pytest.raises(UserNotFound):
        await users.export("ann")


async def test_each_pair_of_a_batch_has_its_result(graph: Graph) -> None:
    """Created, existing, or refused with the reason; the limit counts earlier pairs of the batch."""
    await create_users(graph, "ann", "ben", "cat", "dan", "eve")
    friends = Friends(graph=graph, changed=ignore_changes)
    await friends_of(graph, "ann", "ben")
    await friends.block("cat", "ben")
    await friends.ask("dan", "eve")
    pairs = [
        Pair("ben", "ann"), Pair("ann", "ann"), Pair("ann", "ghost"), Pair("ben", "cat"),
        Pair("ann", "cat", 77), Pair("cat", "ann"), Pair("ann", "dan"), Pair("eve", "dan"),
    ]  # fmt: skip
    results = await Bulk(graph=graph, friend_limit=2, changed=ignore_changes).batch(pairs)
    assert [(one.result.value, one.reason) for one in results] == [
        ("exists", ""), ("refused", "self"), ("refused", "unknown id ghost"), ("refused", "blocked"),
        ("created", ""), ("exists", ""), ("refused", "over the limit of 2 friends: ann"), ("created", ""),
    ]  # fmt: skip
    assert (await friends.one("ann", "cat")).friend.since == 77
    assert (await visible(friends, "dan"))["out"] == [], "the request is answered by the friendship"
    again = await Bulk(graph=graph, friend_limit=2, changed=ignore_changes).batch([pairs[4], pairs[7]])
    assert {one.result for one in again} == {PairOutcome.EXISTS}


async def test_a_batch_may_notify_no_user(graph: Graph) -> None:
    """A first import writes no outbox nodes."""
    await create_users(graph, "ann", "ben")
    await Bulk(graph=graph, changed=ignore_changes).batch([Pair("ann", "ben")], notify=False)
    assert await outbox(graph) == []


async def test_suggestions_are_exactly_the_friends_of_friends_by_number_of_mutuals(graph: Graph) -> None:
    """Against a count in Python; friends, requests and blocks in either direction are excluded."""
    names = [f"u{number:02}" for number in range(40)]
    await create_users(graph, *names)
    chance = random.Random(7)
    edges = {pair for pair in combinations(names, 2) if chance.random() < 0.2}
    await Bulk(graph=graph, changed=ignore_changes).batch([Pair(a, b) for a, b in edges])
    near = {name: {b if a == name else a for a, b in edges if name in (a, b)} for name in names}
    me = "u00"
    strangers = [name for name in names if name != me and name not in near[me]]
    mutuals = {name: sorted(near[me] & near[name]) for name in strangers}
    ranked = sorted(
        (name for name in strangers if mutuals[name]), key=lambda name: (-len(mutuals[name]), name)
    )
    friends, suggestions = (
        Friends(graph=graph, changed=ignore_changes),
        SuggestionsFor(graph=graph, cache=Memory()),
    )
    await friends.ask(me, ranked[0])
    await friends.block(ranked[2], me)
    await friends.ask(ranked[3], me)
    await Flags(graph=graph).write_flags([Flag(ranked[1], True, 5, 0)])
    left = [name for name in ranked if name not in (ranked[0], ranked[2], ranked[3])]
    top = await suggestions.top(me, limit=10)
    assert not top.cached
    assert [(one.id, one.mutual_count) for one in top.suggestions] == [
        (name, len(mutuals[name])) for name in left[:10]
    ]
    assert [[m.id for m in one.mutuals] for one in top.suggestions] == [
        mutuals[name][:3] for name in left[:10]
    ]
    assert [one.online for one in top.suggestions] == [name == ranked[1] for name in left[:10]]


async def test_a_cached_ranking_is_used_until_a_friend_changes_and_never_shows_taken_users(
    graph: Graph,
) -> None:
    """Flags are read fresh."""
    await create_users(graph, "ann", "ben", "cat", "dan")
    await friends_of(graph, "ben", "ann", "cat", "dan")
    memory = Memory()
    suggestions, friends = (
        SuggestionsFor(graph=graph, cache=memory),
        Friends(graph=graph, changed=ignore_changes),
    )
    assert [one.id for one in (await suggestions.top("ann")).suggestions] == ["cat", "dan"]
    await Flags(graph=graph).write_flags([Flag("cat", True, 5, 0)])
    await friends.block("dan", "ann")
    cached = await suggestions.top("ann")
    assert cached.cached
    assert [(one.id, one.online) for one in cached.suggestions] == [("cat", True)]
    await suggestions.forget("ann")
    assert not (await suggestions.top("ann")).cached


async def test_a_cached_ranking_of_which_most_are_taken_still_fills_the_limit(graph: Graph) -> None:
    """Candidates further down move up."""
    others = [f"c{number}" for number in range(6)]
    await create_users(graph, "ann", "ben", *others)
    await friends_of(graph, "ben", "ann", *others)
    suggestions, friends = (
        SuggestionsFor(graph=graph, cache=Memory()),
        Friends(graph=graph, changed=ignore_changes),
    )
    assert [one.id for one in (await suggestions.top("ann", limit=2)).suggestions] == others[:2]
    for taken in others[:4]:
        await friends.ask("ann", taken)
    cached = await suggestions.top("ann", limit=2)
    assert cached.cached
    assert [one.id for one in cached.suggestions] == others[4:]


async def test_an_unknown_user_has_no_suggestions(graph: Graph) -> None:
    """The id is named."""
    with pytest.raises(UserNotFound, match="'ghost'"):
        await SuggestionsFor(graph=graph, cache=Memory()).top("ghost")


async def test_more_traversals_than_can_finish_in_time_are_rejected_at_once(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls for the same user share the running traversal; a cached ranking is still returned."""
    monkeypatch.setattr("graph_service.friends.suggestions.MAX_QUEUED_TRAVERSALS", 1)
    await create_users(graph, "ann", "ben", "cat")
    suggestions = SuggestionsFor(graph=graph, cache=Memory())
    first = asyncio.create_task(suggestions.top("ann"))
    second = asyncio.create_task(suggestions.top("ann"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(SuggestionsBusy):
        await suggestions.top("ben")
    await asyncio.gather(first, second)
    assert (await suggestions.top("ben")).suggestions == []
