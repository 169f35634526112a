"""Checks of both databases: do they respond, are they the right version, do they store what they must.

Read-only, by named queries and by Valkey's INFO and CONFIG.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from graph_service.errors import FriendsError
from graph_service.graph import migrations
from graph_service.graph.driver import Graph, check, connect
from graph_service.valkey.cluster import open_valkey
from pubnub_bridge.doctor.finding import Area, Finding
from pubnub_bridge.settings import Settings

GRAPH, QUEUE, CLOCKS = Area("graph"), Area("queue"), Area("clocks")
WARNING_SKEW_SECONDS = 5.0
FAILURE_SKEW_SECONDS = 60.0
MIN_VERSION = (7, 0)
"""Valkey 7.2 and Redis 7.0 are the oldest that were tested."""
WARNING_MEMORY_SHARE = 0.8


async def check_graph(settings: Settings) -> list[Finding]:
    """Server, schema, indexes and clock. An error of the server is a finding."""
    todo = "Check NEO4J_URI, NEO4J_USER and NEO4J_PASSWORD, and whether the server runs"
    async with connect(settings) as graph:
        try:
            agent = await check(graph, settings)
        except FriendsError as error:
            return [GRAPH.failure("server", str(error), todo)]
        found = [GRAPH.fine("server", f"{agent} at {settings.neo4j_uri}")]
        try:
            return [*found, await _schema(graph), *await _indexes(graph), await _clock(graph)]
        except FriendsError as error:
            return [*found, GRAPH.failure("schema", str(error), "See the server's log")]


async def _schema(graph: Graph) -> Finding:
    try:
        plan = await migrations.plan(graph, migrations.folder())
    except FriendsError as error:
        return GRAPH.failure("migrations", str(error), "Use the version of the service that contains them")
    if plan.pending:
        pending = ", ".join(migration.source for migration in plan.pending)
        return GRAPH.failure("migrations", f"behind: {pending}", "friends-presence migrate")
    return GRAPH.fine("migrations", f"{len(plan.applied)} applied, none pending")


async def _indexes(graph: Graph) -> list[Finding]:
    rows = await graph.rows("indexes")
    states = {tuple(row["labels"] or ()): row["state"] for row in rows}
    found = []
    for label, what in (("User", "a user by id"), ("Online", "who is online in a shard")):
        state = states.get((label,))
        if state == "ONLINE":
            found.append(GRAPH.fine(f"index :{label}", "ready"))
        else:
            todo = "Wait until it is populated" if state else "friends-presence migrate, on an empty record"
            slow = f"{state or 'missing'}: {what} is found by a full scan"
            found.append(GRAPH.failure(f"index :{label}", slow, todo))
    return found


async def _clock(graph: Graph) -> Finding:
    before = time.time()
    row = await graph.row("clock") or {}
    return skew("graph", row["ts"] / 1e6 - (before + time.time()) / 2)


def skew(clock: str, ahead: float, failing: float = FAILURE_SKEW_SECONDS) -> Finding:
    """The finding of a clock that is `ahead` seconds of this host's."""
    found = f"{ahead:+.3f} s from this host"
    todo = f"Synchronise the clocks of this host and of the {clock} with NTP"
    if abs(ahead) >= failing:
        return CLOCKS.failure(clock, found, todo)
    return (
        CLOCKS.warning(clock, found, todo)
        if abs(ahead) >= WARNING_SKEW_SECONDS
        else CLOCKS.fine(clock, found)
    )


async def check_queue(settings: Settings) -> list[Finding]:
    """Server, persistence, memory and clock. An error of the server is a finding."""
    todo = "Check REDIS_URL, and whether the server runs"
    try:
        async with open_valkey(settings.redis_url.get_secret_value()) as valkey:
            facts, before = await valkey.facts(), time.time()
            clock = skew("queue", await valkey.time() - before)
    except FriendsError as error:
        return [QUEUE.failure("server", str(error), todo)]
    return [*check_info(facts), clock]


def check_info(facts: Mapping[str, str]) -> list[Finding]:
    """Findings of a server's INFO, and of its CONFIG where that is allowed."""
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version") or "0"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    found = [QUEUE.fine("server", f"{name} {version}")]
    if numbers < MIN_VERSION:
        found = [QUEUE.failure("server", f"{name} {version}", "Use Valkey 7.2, Redis 7.0 or newer")]
    return [*found, _persistence(facts), _memory(facts), *_role(facts)]


def _persistence(facts: Mapping[str, str]) -> Finding:
    if facts.get("aof_enabled") != "1":
        todo = "appendonly yes (and appendfsync always, if a power loss must lose nothing)"
        return QUEUE.failure(
            "append-only file", "off: a restart loses accepted presence and pending notifications", todo
        )
    if facts.get("aof_last_write_status", "ok") != "ok":
        return QUEUE.failure("append-only file", "the last write failed", "Check the server's disk")
    fsync = facts.get("appendfsync", "")
    more = "; a power loss may lose a second" if fsync == "everysec" else ""
    return QUEUE.fine("append-only file", f"on{more}")


def _memory(facts: Mapping[str, str]) -> Finding:
    limit, used = int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys") or (limit and policy != "noeviction"):
        risk = f"maxmemory-policy {policy}: pending entries can be evicted when memory is short"
        return QUEUE.failure("memory", risk, "maxmemory-policy noeviction")
    if limit and used > WARNING_MEMORY_SHARE * limit:
        return QUEUE.warning("memory", f"{used / limit:.0%} of maxmemory is used", "Raise maxmemory")
    return QUEUE.fine(
        "memory", f"{used / 2**20:.0f} MiB used of {f'{limit / 2**20:.0f} MiB' if limit else 'no limit'}"
    )


def _role(facts: Mapping[str, str]) -> list[Finding]:
    if facts.get("role", "master") != "master":
        return [QUEUE.failure("role", "a replica: it accepts no writes", "Point REDIS_URL at the primary")]
    return []
