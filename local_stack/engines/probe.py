"""Readiness probes for Neo4j, Valkey and HTTP. They use the product's clients, so what passes here works there."""

from __future__ import annotations

import aiohttp
from pydantic import SecretStr

from graph_service.errors import Unavailable
from graph_service.graph.driver import check, connect
from graph_service.settings import Settings
from graph_service.valkey.cluster import open_valkey

HTTP_TIMEOUT_SECONDS = 5.0


async def graph(uri: str, user: str, password: str) -> str:
    """The product and version of the Neo4j at `uri`, once it runs queries.

    Raises `GraphUnavailable`, `GraphRefused` or `NotNeo4j` (graph_service.graph.driver), which names what responded.
    """
    settings = Settings(
        environment="development", neo4j_uri=uri, neo4j_user=user, neo4j_password=SecretStr(password)
    )
    async with connect(settings) as connection:
        agent = await check(connection, settings)
        await connection.statement("RETURN 1")
        return agent


async def queue(url: str) -> str:
    """'Valkey' once it responds. Raises `QueueUnavailable`."""
    async with open_valkey(url):
        return "Valkey"


async def http(url: str) -> None:
    """Return when a GET gets status 200. Raises `Unavailable` with the actual response."""
    timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            if response.status != 200:
                raise Unavailable(
                    what=f"{url}: HTTP status {response.status}, {(await response.text())[:300]}"
                )
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(what=f"{url}: {error or 'no response in time'}") from error
