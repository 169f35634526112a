"""The demo users are loaded once: completely, without repeats after an interruption, never into a graph with users."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graph_service.friends.friends import ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.sharding import ShardMap
from local_stack.data.generate import Population, generate
from local_stack.demo import graph as demo_graph
from local_stack.demo.graph import SEED, DemoGraph, batches

COUNT = 120


@pytest.fixture
def demo(graph: Graph, tmp_path: Path) -> DemoGraph:
    """On an empty graph."""
    return DemoGraph(graph=graph, shards=ShardMap(), marker=tmp_path / "mark")


@pytest.fixture(autouse=True)
def few_friends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that fit so few users, and several batches."""
    monkeypatch.setattr(demo_graph, "MIN_FRIENDS", 10)
    monkeypatch.setattr(demo_graph, "MAX_FRIENDS", 40)
    monkeypatch.setattr(demo_graph, "FRIENDSHIPS_PER_TRANSACTION", 300)


def quiet(_text: str) -> None:
    """Discard a step's text."""


def wanted() -> Population:
    return generate(COUNT, 10, 40, SEED)


async def edges(graph: Graph) -> list[tuple[str, str]]:
    """Every stored friendship with its direction, duplicates included."""
    rows = await graph.rows("export_page", after="", limit=10_000)
    return sorted((row["id"], friend) for row in rows for friend in row["friends"])


def expected(population: Population) -> list[tuple[str, str]]:
    """The generated friendships by ids."""
    return [(population.ids[a], population.ids[b]) for a, b in population.pairs.tolist()]


async def test_an_empty_graph_gets_every_friendship_once(graph: Graph, demo: DemoGraph) -> None:
    assert await demo.people(COUNT, quiet) == wanted().ids
    assert await edges(graph) == expected(wanted())
    rows = await graph.rows("export_page", after="", limit=COUNT)
    assert [row["name"] for row in rows] == wanted().names


async def test_a_second_start_finds_them_and_loads_nothing(graph: Graph, demo: DemoGraph) -> None:
    """Fewer can be requested; changes made in between stay."""
    await demo.people(COUNT, quiet)
    await graph.write("unfriend", me="u0000000", other=expected(wanted())[0][1])
    said: list[str] = []
    assert await demo.people(30, said.append) == wanted().ids[:30]
    assert said == []
    assert len(await edges(graph)) == len(expected(wanted())) - 1


async def test_a_load_that_was_interrupted_is_finished_without_repeats(
    graph: Graph, demo: DemoGraph, tmp_path: Path
) -> None:
    """Some batches were written, and the process died."""
    population = wanted()
    people = [UserProfile(id_, name) for id_, name in zip(population.ids, population.names, strict=True)]
    await Users(
        graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
    ).upsert_many(people)
    first = next(batches(population))
    await graph.write("first_friendships", ids=population.ids, rows=first)
    (tmp_path / "mark").touch()
    await demo.people(COUNT, quiet)
    assert await edges(graph) == expected(population)
    assert not (tmp_path / "mark").exists()


async def test_a_graph_that_has_users_is_not_changed(graph: Graph, demo: DemoGraph) -> None:
    await Users(
        graph=graph, shard_of=ShardMap().shard, changed=ignore_changes, created=ignore_created
    ).upsert_many([UserProfile("ben", "Ben"), UserProfile("ann", "Ann")])
    assert await demo.people(COUNT, quiet) == ["ann", "ben"]
    assert await graph.row("users_count") == {"people": 2}


async def test_reserved_users_are_one_user_and_two_friends(graph: Graph, demo: DemoGraph) -> None:
    """So that one sees the other come online."""
    people = await demo.people(COUNT, quiet)
    me, *friends = await demo.reserved_users(people)
    assert len(friends) == 2
    assert {(me, friend) for friend in friends} <= set(await edges(graph))


async def test_reserved_users_without_friends_are_one_or_none(demo: DemoGraph) -> None:
    """A graph without users, or with one."""
    assert await demo.reserved_users([]) == []
    assert await demo.reserved_users(["u0000000"]) == ["u0000000"]


def test_batches_hold_all_pairs_in_order() -> None:
    """Whatever the size of a batch, every user's row is complete."""
    population = wanted()
    rows = [row for some in batches(population) for row in some]
    pairs = np.array([(a, b) for a, others in rows for b in others])
    assert np.array_equal(pairs, population.pairs)
    assert len({a for a, _ in rows}) == len(rows)
