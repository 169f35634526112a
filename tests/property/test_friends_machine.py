"""Random actions of five users: real Neo4j and the reference model agree after every step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from graph_service.errors import FriendsError
from graph_service.friends.friends import Friends, ignore_changes
from graph_service.graph.driver import Graph, connect
from tests.conftest import Servers
from tests.contract.test_friends import create_users, visible
from tests.support.reference import ACTIONS, Reference

T = TypeVar("T")
LIMITS = {"friend_limit": 3, "pending_limit": 2}
NUMBER = count()


class FriendsMachine(RuleBasedStateMachine):
    """Five new users for each run, with limits low enough to be reached."""

    graph: ClassVar[Graph]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        walk = next(NUMBER)
        self.users = [f"w{walk}-{name}" for name in ("ann", "ben", "cat", "dan", "eve")]
        self.friends = Friends(graph=self.graph, **LIMITS, changed=ignore_changes)
        self.model = Reference(**LIMITS)
        self.wait(create_users(self.graph, *self.users))
        self.touched: set[str] = set()

    def wait(self, call: Coroutine[Any, Any, T]) -> T:
        """Runs a call in the graph's loop."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(30)

    @rule(action=st.sampled_from(ACTIONS), me=st.integers(0, 4), other=st.integers(0, 4))
    def act(self, action: str, me: int, other: int) -> None:
        """Any action by anyone on anyone, oneself included."""
        ids = self.users[me], self.users[other]
        self.touched = set(ids)
        try:
            expected: object = getattr(self.model, action)(*ids)
        except FriendsError as refusal:
            expected = str(refusal)
        try:
            got: object = self.wait(getattr(self.friends, action)(*ids))
        except FriendsError as refusal:
            got = str(refusal)
        assert got == expected

    @invariant()
    def those_touched_see_what_the_model_shows(self) -> None:
        """Friends, requests both ways and blocks of the two."""
        for user in self.touched:
            assert self.wait(visible(self.friends, user)) == self.model.visible(user)

    def teardown(self) -> None:
        """At the end every user's view is right, and every change has its outbox node."""
        for user in self.users:
            assert self.wait(visible(self.friends, user)) == self.model.visible(user)
        rows = self.wait(
            self.graph.statement(
                "MATCH (o:Outbox) WHERE o.a IN $ids RETURN o.a AS a, o.b AS b", ids=self.users
            )
        )
        assert sorted((row["a"], row["b"]) for row in rows) == sorted(self.model.outbox)


@contextmanager
def loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop next to hypothesis, which is not asynchronous."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="graph", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_random_actions_of_five_users_match_the_model(graph: Graph, servers: Servers) -> None:
    """Shrinks to the shortest sequence where database and model differ."""

    async def opened() -> tuple[Any, Graph]:
        context = connect(servers.settings())
        return context, await context.__aenter__()

    with loop_in_a_thread() as loop:
        context, own = asyncio.run_coroutine_threadsafe(opened(), loop).result(30)
        FriendsMachine.graph, FriendsMachine.loop = own, loop
        try:
            run_state_machine_as_test(
                FriendsMachine,
                settings=settings(
                    max_examples=20,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
