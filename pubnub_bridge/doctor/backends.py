"""The doctor's look at the two engines: do they answer, are they the right ones, do they keep what they must.

Knows named queries and Valkey's own words; changes nothing in either.
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
SKEW = 5.0
"""Seconds between two clocks of one system that deserve a look."""
OLDEST = (7, 0)
"""Valkey 7.2 and Redis 7.0 are the oldest that were run."""


async def look_at_graph(settings: Settings) -> list[Finding]:
    """Server, schema, indexes and clock. Never raises what the server does."""
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
        return GRAPH.failure("migrations", str(error), "Use the version of the service that knows them")
    if plan.pending:
        waiting = ", ".join(migration.source for migration in plan.pending)
        return GRAPH.failure("migrations", f"behind: {waiting}", "friends-presence migrate")
    return GRAPH.fine("migrations", f"{len(plan.applied)} applied, none pending")


async def _indexes(graph: Graph) -> list[Finding]:
    rows = await graph.rows("indexes")
    ours = {tuple(row["labels"] or ()): row["state"] for row in rows}
    found = []
    for label, what in (("User", "a user by id"), ("Online", "who is online in a shard")):
        state = ours.get((label,))
        if state == "ONLINE":
            found.append(GRAPH.fine(f"index :{label}", "ready"))
        else:
            todo = "Wait until it is populated" if state else "friends-presence migrate, on an empty record"
            seen = f"{state or 'missing'}: {what} is found by reading everything"
            found.append(GRAPH.failure(f"index :{label}", seen, todo))
    return found


async def _clock(graph: Graph) -> Finding:
    before = time.time()
    row = await graph.row("clock") or {}
    return skew("graph", row["ts"] / 1e6 - (before + time.time()) / 2)


def skew(whose: str, ahead: float, failing: float = 60.0) -> Finding:
    """What a clock's distance from this host's means; seconds."""
    seen, todo = f"{ahead:+.3f} s from this host", f"Let NTP set the clock of this host and of the {whose}"
    if abs(ahead) >= failing:
        return CLOCKS.failure(whose, seen, todo)
    return CLOCKS.warning(whose, seen, todo) if abs(ahead) >= SKEW else CLOCKS.fine(whose, seen)


async def look_at_queue(settings: Settings) -> list[Finding]:
    """Server, persistence, memory and clock. Never raises what the server does."""
    todo = "Check REDIS_URL, and whether the server runs"
    try:
        async with open_valkey(settings.redis_url.get_secret_value()) as valkey:
            facts, before = await valkey.facts(), time.time()
            clock = skew("queue", await valkey.time() - before)
    except FriendsError as error:
        return [QUEUE.failure("server", str(error), todo)]
    return [*judged(facts), clock]


def judged(facts: Mapping[str, str]) -> list[Finding]:
    """What a server says of itself (INFO, and CONFIG where it may be asked)."""
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version") or "0"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    found = [QUEUE.fine("server", f"{name} {version}")]
    if numbers < OLDEST:
        found = [QUEUE.failure("server", f"{name} {version}", "Use Valkey 7.2, Redis 7.0 or newer")]
    return [*found, _persistence(facts), _memory(facts), *_role(facts)]


def _persistence(facts: Mapping[str, str]) -> Finding:
    if facts.get("aof_enabled") != "1":
        todo = "appendonly yes (and appendfsync always, if a power loss must lose nothing)"
        return QUEUE.failure("append-only file", "off: a restart forgets what was seen and decided", todo)
    if facts.get("aof_last_write_status", "ok") != "ok":
        return QUEUE.failure("append-only file", "the last write failed", "Look at the server's disk")
    fsync = facts.get("appendfsync", "")
    more = "; a power loss may lose a second" if fsync == "everysec" else ""
    return QUEUE.fine("append-only file", f"on{more}")


def _memory(facts: Mapping[str, str]) -> Finding:
    most, used = int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys") or (most and policy != "noeviction"):
        seen = f"maxmemory-policy {policy}: what waits may be thrown away when memory is short"
        return QUEUE.failure("memory", seen, "maxmemory-policy noeviction")
    if most and used > 0.8 * most:
        return QUEUE.warning("memory", f"{used / most:.0%} of maxmemory is used", "Raise maxmemory")
    return QUEUE.fine(
        "memory", f"{used / 2**20:.0f} MiB used of {f'{most / 2**20:.0f} MiB' if most else 'no limit'}"
    )


def _role(facts: Mapping[str, str]) -> list[Finding]:
    if facts.get("role", "master") != "master":
        return [QUEUE.failure("role", "a replica: it takes no writes", "Point REDIS_URL at the primary")]
    return []
