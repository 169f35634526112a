"""The doctor's deep look: clients' truth (Here Now) against flags against App Context, shard by shard.

Changes are under way at any time, so what differs is looked at again after the hold; only what still differs is told.
Knows Here Now, named queries and App Context's read; repairs nothing (reconciling does).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from graph_service.errors import FriendsError
from pubnub_bridge.doctor.finding import Area, Finding
from pubnub_bridge.pubnub_api.sdk import Grant
from pubnub_bridge.runtime.context import BridgeContext

AREA = Area("truth")
SLACK = 2.0
"""Seconds beside the hold until a change must be everywhere."""
SAMPLE = 200
"""Users whose App Context is read."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """One user of whom two stores say different things."""

    user: str
    what: str


async def look(context: BridgeContext) -> list[Finding]:
    """Both comparisons. Never raises what the stores do."""
    try:
        flags = await _lasting(context)
        copies = await _contexts(context)
    except FriendsError as error:
        return [AREA.failure("compared", str(error), "See the findings above")]
    return [
        _finding(
            "flags and Here Now", flags, "Reconciling repairs them; see friends_presence_reconciled_total"
        ),
        _finding(
            "flags and App Context", copies, "Written behind: look again, then see friends_app_context_*"
        ),
    ]


def _finding(check: str, found: Sequence[Difference], todo: str) -> Finding:
    if not found:
        return AREA.fine(check, "the same")
    shown = "; ".join(f"{one.user}: {one.what}" for one in found[:SHOWN])
    return AREA.failure(check, f"{len(found)} differ: {shown}", todo)


async def _lasting(context: BridgeContext) -> list[Difference]:
    """What differs, and still does once every change that was held must have settled."""
    first = await _differences(context, range(context.shards.listened))
    if not first:
        return []
    await asyncio.sleep(context.settings.longest_hold + SLACK)
    names = {name for one in first for name in context.shards.channels_of(one.user)}
    shards = {shard for name in names if (shard := context.shards.parse(name)) is not None}
    again = {one.user: one for one in await _differences(context, sorted(shards))}
    return [again[one.user] for one in first if again.get(one.user) == one]


async def _differences(context: BridgeContext, shards: Sequence[int]) -> list[Difference]:
    found: list[Difference] = []
    for shard in shards:
        flagged = await context.flags.online_in_shards([shard])
        found += await _of_shard(context, await context.presence_lookup.present(shard), flagged)
    return sorted(found, key=lambda one: one.user)


async def _of_shard(
    context: BridgeContext, here: Collection[str], flagged: Mapping[str, int]
) -> list[Difference]:
    unflagged = [user for user in here if user not in flagged]
    known = (
        (await context.backends.graph.row("existing_ids", ids=unflagged) or {})["ids"] if unflagged else ()
    )
    found = [Difference(user, "present and not flagged online") for user in known]
    gone = await context.presence_lookup.all([user for user in flagged if user not in here], "doctor")
    return found + [
        Difference(user, "flagged online and not present") for user, seen in gone.items() if not seen.online
    ]


async def _contexts(context: BridgeContext) -> list[Difference]:
    """App Context's copy of the flag, of some users who are online."""
    if context.settings.app_context == "off":
        return []
    flagged = await context.flags.online_in_shards(list(range(context.shards.listened)))
    sample = sorted(flagged)[:SAMPLE]
    users = {row.id: row.online for row in await context.flags.presence(sample)} if sample else {}
    found = []
    for start in range(0, len(sample), 50):
        some = sample[start : start + 50]
        copies = await _copies(context, some)
        found += [
            Difference(user, f"App Context says {copies[user]}, the flag {users[user]}")
            for user in some
            if user in users and copies[user] != users[user]
        ]
    return found


async def _copies(context: BridgeContext, users: Sequence[str]) -> dict[str, bool | None]:
    """`custom.online` of each user; None where App Context has none."""
    keyset, token = context.keyset, None
    if context.settings.access_manager:
        token = await context.pubnub.grant(5, keyset.uuid, Grant(get_uuids=tuple(users)))

    async def one(user: str) -> bool | None:
        query = {"include": "custom", "uuid": keyset.uuid, **({"auth": token} if token else {})}
        url = f"{keyset.base}/v2/objects/{keyset.subscribe_key}/uuids/{quote(user, safe='')}"
        async with context.http_session.get(url, params=query) as reply:
            if reply.status != 200:
                return None
            data = json.loads(await reply.text())["data"]
        return (data.get("custom") or {}).get("online")

    return dict(zip(users, await asyncio.gather(*map(one, users)), strict=True))
