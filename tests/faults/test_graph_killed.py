"""kill -9 of Neo4j during writes: acknowledged changes survive, and the API recovers without help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from graph_service.friends.friends import Friends, ignore_changes
from graph_service.graph import migrations
from graph_service.graph.driver import connect
from graph_service.settings import Settings
from local_stack.engines.launcher import Engines, running
from tests.support.api import OPTIONS, Api, running_api
from tests.support.embedded import EMBEDDED

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

CLIENTS = 12
CHANGES_BEFORE = 5


@dataclass
class Client:
    """One pair of users whose friendship begins and ends; records acknowledged changes."""

    api: Api
    number: int
    friends: bool = False
    sure: bool = True
    """False after a call without a response: it may or may not have been done."""
    acknowledged: int = 0
    refused: list[tuple[int, str | None]] = field(default_factory=list)
    was_refused: asyncio.Event = field(default_factory=asyncio.Event)
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pair(self) -> tuple[str, str]:
        return f"a{self.number}", f"b{self.number}"

    async def acknowledges(self, count: int) -> None:
        """Wait for this number of acknowledged changes."""
        while self.acknowledged < count:
            self.progress.clear()
            await self.progress.wait()

    async def change(self) -> None:
        """One friendship made in two calls, or ended in one."""
        a, b = self.pair
        if self.friends:
            done = await self._done("DELETE", a, b)
        else:
            done = await self._done("PUT", a, b) and await self._done("PUT", b, a)
        if done:
            self.friends, self.sure = not self.friends, True
            self.acknowledged += 1
            self.progress.set()

    async def _done(self, method: str, me: str, other: str) -> bool:
        headers = {"Authorization": f"Bearer {self.api.token(me)}"}
        url = f"{self.api.url}/v1/friends/{other}"
        async with self.api.session.request(method, url, headers=headers) as response:
            if response.status != 200:
                self.was_refused.set()
                self.refused.append((response.status, response.headers.get("Retry-After")))
                self.sure = False
            return response.status == 200


@pytest.fixture
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Engines, Settings]]:
    """Databases that may be killed."""
    async with running(tmp_path_factory.mktemp("killed"), environ=EMBEDDED) as engines:
        settings = Settings(
            environment="development",
            neo4j_uri=engines.neo4j.uri,
            neo4j_user=engines.neo4j.user,
            neo4j_password=engines.neo4j.password,
            redis_url=engines.redis_url,
            **OPTIONS,  # type: ignore[arg-type]
        )
        async with connect(settings) as graph:
            await migrations.migrate(graph, migrations.folder())
        yield engines, settings


async def test_every_acknowledged_change_survives_and_the_api_recovers(
    own: tuple[Engines, Settings],
) -> None:
    """While Neo4j is away the API answers 503 with Retry-After, never 500, and never hangs."""
    engines, settings = own
    server = engines.neo4j.server
    assert server is not None
    async with running_api(settings) as api:
        clients = [Client(api, number) for number in range(CLIENTS)]
        await api.create_users(*(user for client in clients for user in client.pair))
        stop = asyncio.Event()

        async def busy(client: Client) -> None:
            while not stop.is_set():
                await client.change()
                await asyncio.sleep(0 if client.sure else 0.05)

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(busy(client))
            async with asyncio.timeout(60):
                await asyncio.gather(*(client.acknowledges(CHANGES_BEFORE) for client in clients))
            await server.kill()
            status, problem = await api.call("GET", "/readyz")
            assert (status, problem["code"]) == (503, "not_ready")
            async with asyncio.timeout(60):
                await asyncio.gather(*(client.was_refused.wait() for client in clients))
            await server.start()
            reached = [(client, client.acknowledged) for client in clients]
            async with asyncio.timeout(60):
                await asyncio.gather(*(client.acknowledges(count + 1) for client, count in reached))
            stop.set()
        assert (await api.call("GET", "/readyz"))[0] == 200
        assert sum(client.acknowledged for client in clients) > CHANGES_BEFORE * CLIENTS
        refusals = [refusal for client in clients for refusal in client.refused]
        assert {status for status, _ in refusals} == {503}
        assert all(after and int(after) >= 1 for _, after in refusals)
        async with connect(settings) as graph:
            for client in clients:
                if client.sure:
                    page = await Friends(graph=graph, changed=ignore_changes).page(client.pair[0])
                    assert [friend.id for friend in page.friends] == [client.pair[1]] * client.friends
