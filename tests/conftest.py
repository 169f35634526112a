"""The databases that all tests share: one real Neo4j and one real Valkey a run, from the same files as `up`.

NEO4J_URI and REDIS_URL in the environment replace them. Each test gets a graph without users; the schema stays.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import structlog

from graph_service.graph import migrations
from graph_service.graph.driver import Graph, connect
from graph_service.settings import Settings
from tests.support.api import OPTIONS, Api, running_api

# A test's server lives for seconds, and without the second compiler its start costs half the CPU time.
os.environ.setdefault("NEO4J_JVM_FLAGS", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True)
class Servers:
    """The addresses of this run's databases."""

    neo4j_uri: str
    neo4j_user: str
    neo4j_password: str
    redis_url: str

    def settings(self, **more: object) -> Settings:
        """Settings for these databases."""
        return Settings(**(self.options() | more))  # type: ignore[arg-type]

    def options(self) -> dict[str, object]:
        """The same as a dict, for other settings classes."""
        return {
            "environment": "development",
            "neo4j_uri": self.neo4j_uri,
            "neo4j_user": self.neo4j_user,
            "neo4j_password": self.neo4j_password,
            "redis_url": self.redis_url,
        }


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Real databases, started once a run."""
    if "NEO4J_URI" in os.environ and "REDIS_URL" in os.environ:
        env = os.environ
        yield Servers(
            env["NEO4J_URI"], env.get("NEO4J_USER", "neo4j"), env["NEO4J_PASSWORD"], env["REDIS_URL"]
        )
        return
    from local_stack.engines.launcher import running

    async with running(tmp_path_factory.mktemp("engines")) as engines:
        neo4j = engines.neo4j
        yield Servers(neo4j.uri, neo4j.user, neo4j.password, engines.redis_url)


@pytest.fixture(scope="session")
async def migrated(servers: Servers) -> AsyncIterator[Graph]:
    """The graph with its schema."""
    async with connect(servers.settings()) as graph:
        await migrations.migrate(graph, migrations.folder())
        yield graph


@pytest.fixture
async def graph(migrated: Graph) -> Graph:
    """A graph without users."""
    await wipe(migrated)
    return migrated


@pytest.fixture(scope="session")
async def shared_api(servers: Servers, migrated: Graph) -> AsyncIterator[Api]:
    """One running API a run; `api` combines it with an empty graph."""
    async with running_api(servers.settings(**OPTIONS)) as api:
        yield api


@pytest.fixture
async def api(shared_api: Api, graph: Graph) -> Api:
    """The API over a graph without users."""
    return shared_api


async def wipe(graph: Graph) -> None:
    """Removes every user, relation and outbox node; constraints, indexes and migration records stay."""
    await graph.statement(
        "MATCH (n) WHERE n:User OR n:Outbox CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"
    )


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    """Keep log lines of requests out of the output of failing tests."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("neo4j").setLevel(logging.ERROR)


def pytest_report_header() -> list[str]:
    """Name the databases of this run."""
    return [
        f"graph: {os.environ.get('NEO4J_URI', 'Neo4j 5.26 from its jars')}",
        f"queue: {os.environ.get('REDIS_URL', 'Valkey from its wheel')}",
    ]
