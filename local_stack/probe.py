"""Asks a server who it is. Knows the two addresses; uses the product's own clients, so that what answers here works there."""

from __future__ import annotations

from pydantic import SecretStr

from graph_service.neo4j import check, connect
from graph_service.settings import Settings
from graph_service.valkey import Valkey


async def graph(uri: str, user: str, password: str) -> str:
    """The agent of the Neo4j at `uri`, once it runs queries.

    Raises `GraphUnavailable`, `GraphRefused` or `NotNeo4j` (graph_service.neo4j), which names who answered.
    """
    settings = Settings(
        environment="development", neo4j_uri=uri, neo4j_user=user, neo4j_password=SecretStr(password)
    )
    async with connect(settings) as connection:
        agent = await check(connection, settings)
        await connection.statement("RETURN 1")
        return agent


async def queue(url: str) -> str:
    """'Valkey' once it answers. Raises `QueueUnavailable`."""
    async with Valkey.open(url):
        return "Valkey"
