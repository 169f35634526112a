"""The rules of friendship on real Neo4j, compared with the reference model step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import product

import pytest

from graph_service.errors import (
    BadInput,
    BlockedByCaller,
    FriendLimitReached,
    FriendsError,
    PendingLimitReached,
    UserNotFound,
)
from graph_service.friends.friends import Friends, NotFriends, ignore_changes
from graph_service.friends.users import UserProfile, Users, ignore_created
from graph_service.graph.driver import Graph
from graph_service.model.model import Outcome, State
from tests.support.reference import ACTIONS, Reference

Step = tuple[str, bool]
"""An action, and whether the first of the two does it."""
STEPS: list[Step] = list(product(ACTIONS, (True, False)))


async def create_users(graph: Graph, *names: str) -> Users:
    """Creates users."""
    users = Users(graph=graph, shard_of=lambda _: 0, changed=ignore_changes, created=ignore_created)
    await users.upsert_many([UserProfile(name, name.title()) for name in names])
    return users


async def visible(friends: Friends, me: str) -> dict[str, list[str]]:
    """Everything that one user can see, as lists of ids."""
    page = await friends.page(me)
    into, out = await friends.requests(me, "in"), await friends.requests(me, "out")
    blocks = await friends.blocks(me)
    return {
        "friends": [friend.id for friend in page.friends],
        "in": [one.id for one in into.relations],
        "out": [one.id for one in out.relations],
        "blocks": [one.id for one in blocks.relations],
    }


async def outcome(call: Callable[[], Outcome | Awaitable[Outcome]]) -> Outcome | tuple[str, str]:
    """The result of a call, or the code and message of its error."""
    try:
        answer = call()
        return await answer if isinstance(answer, Awaitable) else answer
    except FriendsError as refusal:
        return refusal.code, str(refusal)


async def outbox(graph: Graph) -> list[tuple[str, str]]:
    """The pairs of all outbox nodes."""
    rows = await graph.statement("MATCH (o:Outbox) RETURN o.a AS a, o.b AS b")
    return sorted((row["a"], row["b"]) for row in rows)


def reachable_states() -> Iterator[list[Step]]:
    """A shortest way to every state of two users, by the model."""
    seen: set[object] = set()
    queue: list[list[Step]] = [[]]
    while queue:
        path = queue.pop(0)
        model = Reference()
        for step in path:
            apply(model, step, "a", "b")
        state = (frozenset(model.friends), frozenset(model.requests), frozenset(model.blocks))
        if state in seen:
            continue
        seen.add(state)
        yield path
        queue.extend([*path, step] for step in STEPS)


def apply(model: Reference, step: Step, a: str, b: str) -> Outcome | tuple[str, str]:
    """One step on the model."""
    action, first = step
    try:
        result: Outcome = getattr(model, action)(*((a, b) if first else (b, a)))
    except FriendsError as refusal:
        return refusal.code, str(refusal)
    return result


async def test_every_ordered_pair_of_actions_from_every_state_does_what_the_model_does(graph: Graph) -> None:
    """The outcome of each step, and everything that both can see after it, with either user as the actor."""
    friends = Friends(graph=graph, changed=ignore_changes)
    walks = [[*path, *pair] for path in reachable_states() for pair in product(STEPS, repeat=2)]
    assert len(walks) >= 900, "at least nine states of two users"
    await create_users(graph, *(f"{side}{number}" for number in range(len(walks)) for side in "ab"))

    async def walk(number: int, steps: list[Step]) -> list[tuple[str, str]]:
        a, b = f"a{number}", f"b{number}"
        model = Reference()
        for position, step in enumerate(steps):
            action, first = step
            me, other = (a, b) if first else (b, a)
            got = await outcome(partial(getattr(friends, action), me, other))
            assert got == apply(model, step, a, b), (number, steps[: position + 1])
            if position >= len(steps) - 2:
                for user in (a, b):
                    assert await visible(friends, user) == model.visible(user), (user, steps[: position + 1])
        return model.outbox

    limit = asyncio.Semaphore(16)

    async def limited(number: int, steps: list[Step]) -> list[tuple[str, str]]:
        async with limit:
            return await walk(number, steps)

    expected = await asyncio.gather(*(limited(number, steps) for number, steps in enumerate(walks)))
    assert await outbox(graph) == sorted(pair for pairs in expected for pair in pairs)


async def test_a_repeat_changes_nothing_and_reports_it(graph: Graph) -> None:
    """Requesting, accepting and removing twice are the same as once."""
    await create_users(graph, "ann", "ben")
    friends = Friends(graph=graph, changed=ignore_changes)
    assert await friends.ask("ann", "ben") == Outcome(state=State.REQUESTED, changed=True)
    assert await friends.ask("ann", "ben") == Outcome(state=State.REQUESTED, changed=False)
    assert await friends.ask("ben", "ann") == Outcome(state=State.FRIENDS, changed=True)
    assert await friends.ask("ben", "ann") == Outcome(state=State.FRIENDS, changed=False)
    assert await friends.remove("ann", "ben") == Outcome(state=State.NONE, changed=True)
    assert await friends.remove("ann", "ben") == Outcome(state=State.NONE, changed=False)
    assert await outbox(graph) == [("ann", "ben")] * 3


async def test_users_cannot_befriend_or_block_themselves(graph: Graph) -> None:
    """The error names the field."""
    await create_users(graph, "ann")
    for action in ACTIONS:
        with pytest.raises(BadInput, match="id: is your own"):
            await getattr(Friends(graph=graph, changed=ignore_changes), action)("ann", "ann")


async def test_an_unknown_id_is_named(graph: Graph) -> None:
    """Either of the two."""
    await create_users(graph, "ann")
    friends = Friends(graph=graph, changed=ignore_changes)
    with pytest.raises(UserNotFound, match="'ghost'"):
        await friends.ask("ann", "ghost")
    with pytest.raises(UserNotFound, match="'ghost'"):
        await friends.block("ghost", "ann")
    with pytest.raises(UserNotFound, match="'ghost'"):
        await friends.page("ghost")


async def test_to_the_blocked_user_a_block_is_an_unfriend(graph: Graph) -> None:
    """The same lists and results; a later request is stored as pending, and hidden from the blocker."""
    await create_users(graph, "ann", "ben", "cat")
    friends = Friends(graph=graph, changed=ignore_changes)
    for other in ("ann", "cat"):
        await friends.ask("ben", other)
        await friends.ask(other, "ben")
    await friends.block("ann", "ben")
    await friends.remove("cat", "ben")
    assert await visible(friends, "ben") == {"friends": [], "in": [], "out": [], "blocks": []}
    assert (
        await friends.ask("ben", "ann")
        == await friends.ask("ben", "cat")
        == Outcome(state=State.REQUESTED, changed=True)
    )
    assert (await visible(friends, "ben"))["out"] == ["ann", "cat"]
    assert (await visible(friends, "ann"))["in"] == []
    assert (await visible(friends, "cat"))["in"] == ["ben"]
    with pytest.raises(BlockedByCaller, match="DELETE /v1/blocks/ben"):
        await friends.ask("ann", "ben")
    assert await friends.unblock("ann", "ben") == Outcome(state=State.NONE, changed=True)
    assert (await visible(friends, "ann"))["in"] == ["ben"]


async def test_a_limit_error_names_the_user_at_the_limit(graph: Graph) -> None:
    """The limit of friends holds for both ends, the limit of pending requests for the requester."""
    await create_users(graph, "ann", "ben", "cat", "dan")
    friends = Friends(graph=graph, friend_limit=1, pending_limit=1, changed=ignore_changes)
    await friends.ask("ann", "ben")
    with pytest.raises(PendingLimitReached, match="'ann' has reached the limit of 1 pending"):
        await friends.ask("ann", "cat")
    await friends.ask("ben", "ann")
    with pytest.raises(FriendLimitReached, match="'ann' has reached the limit of 1 friends"):
        await friends.ask("ann", "cat")
    await friends.ask("dan", "ben")
    with pytest.raises(FriendLimitReached, match="'ben'"):
        await friends.ask("ben", "dan")
    await friends.ask("cat", "dan")
    await friends.remove("ann", "ben")
    assert (await friends.ask("ben", "dan")).state is State.FRIENDS


async def test_pages_hold_every_friend_once_in_order_of_id(graph: Graph) -> None:
    """With every page size; the last page has no next."""
    names = [f"f{number:03}" for number in range(25)]
    await create_users(graph, "ann", *names)
    friends = Friends(graph=graph, changed=ignore_changes)
    for name in names:
        await friends.ask(name, "ann")
        await friends.ask("ann", name)
    for size in (1, 7, 24, 25, 26):
        found, after = [], None
        while True:
            page = await friends.page("ann", after=after, limit=size)
            assert len(page.friends) <= size
            found += [friend.id for friend in page.friends]
            after = page.next
            if after is None:
                break
        assert found == names, size


async def test_users_who_are_not_friends_see_nothing_of_each_other(graph: Graph) -> None:
    """One friend and mutual friends are for friends only."""
    await create_users(graph, "ann", "ben")
    for call in (
        Friends(graph=graph, changed=ignore_changes).one,
        Friends(graph=graph, changed=ignore_changes).mutual,
    ):
        with pytest.raises(NotFriends, match="'ben'"):
            await call("ann", "ben")


async def test_mutual_friends_are_counted_and_paged(graph: Graph) -> None:
    """The friends of both, in order of id, with their total."""
    await create_users(graph, "ann", "ben", "m1", "m2", "m3", "only-ann")
    friends = Friends(graph=graph, changed=ignore_changes)
    for one, other in [("ann", "ben"), ("ann", "only-ann")] + [
        (side, name) for side in ("ann", "ben") for name in ("m1", "m2", "m3")
    ]:
        await friends.ask(one, other)
        await friends.ask(other, one)
    page = await friends.mutual("ann", "ben", limit=2)
    assert ([friend.id for friend in page.friends], page.total, page.next) == (["m1", "m2"], 3, "m2")
    rest = await friends.mutual("ann", "ben", after=page.next)
    assert ([friend.id for friend in rest.friends], rest.next) == (["m3"], None)
    assert (await friends.one("ann", "ben")).mutual == 3
