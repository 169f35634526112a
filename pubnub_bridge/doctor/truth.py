"""The doctor's deep check: presence (Here Now) against flags, and flags against App Context, shard by shard.

Changes happen at any time, so a difference is checked again after the debounce time, and only one that remains is
reported. Read-only: reconcile fixes differences.
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
SLACK_SECONDS = 2.0
"""After the debounce time, until a change must be everywhere."""
MAX_SAMPLED_USERS = 200
"""Whose App Context is read."""
MAX_SHOWN_DIFFERENCES = 10
BATCH_USERS = 50
TOKEN_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """One user for whom two stores differ."""

    user: str
    what: str


async def check(context: BridgeContext) -> list[Finding]:
    """Both comparisons. An error of a store is a finding."""
    try:
        flags = await _persistent_differences(context)
        copies = await _context_differences(context)
    except FriendsError as error:
        return [AREA.failure("compared", str(error), "See the findings above")]
    return [
        _finding("flags and Here Now", flags, "Reconcile fixes them; see friends_presence_reconciled_total"),
        _finding(
            "flags and App Context", copies, "Written behind: check again, then see friends_app_context_*"
        ),
    ]


def _finding(check: str, found: Sequence[Difference], todo: str) -> Finding:
    if not found:
        return AREA.fine(check, "the same")
    listed = "; ".join(f"{one.user}: {one.what}" for one in found[:MAX_SHOWN_DIFFERENCES])
    return AREA.failure(check, f"{len(found)} differ: {listed}", todo)


async def _persistent_differences(context: BridgeContext) -> list[Difference]:
    """Differences that remain once every debounced change must have been committed."""
    first = await _differences(context, range(context.shards.listened))
    if not first:
        return []
    await asyncio.sleep(context.settings.max_debounce_seconds + SLACK_SECONDS)
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
    existing = (
        (await context.backends.graph.row("existing_ids", ids=unflagged) or {})["ids"] if unflagged else ()
    )
    found = [Difference(user, "present and not flagged online") for user in existing]
    absent = await context.presence_lookup.all([user for user in flagged if user not in here], "doctor")
    return found + [
        Difference(user, "flagged online and not present")
        for user, event in absent.items()
        if not event.online
    ]


async def _context_differences(context: BridgeContext) -> list[Difference]:
    """Differences of the flag and its copy in App Context, for some users online."""
    if context.settings.app_context == "off":
        return []
    flagged = await context.flags.online_in_shards(list(range(context.shards.listened)))
    sample = sorted(flagged)[:MAX_SAMPLED_USERS]
    users = {row.id: row.online for row in await context.flags.presence(sample)} if sample else {}
    found = []
    for start in range(0, len(sample), BATCH_USERS):
        some = sample[start : start + BATCH_USERS]
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
        token = await context.pubnub.grant(TOKEN_MINUTES, keyset.uuid, Grant(get_uuids=tuple(users)))

    async def one(user: str) -> bool | None:
        query = {"include": "custom", "uuid": keyset.uuid, **({"auth": token} if token else {})}
        url = f"{keyset.base}/v2/objects/{keyset.subscribe_key}/uuids/{quote(user, safe='')}"
        async with context.http_session.get(url, params=query) as response:
            if response.status != 200:
                return None
            data = json.loads(await response.text())["data"]
        return (data.get("custom") or {}).get("online")

    return dict(zip(users, await asyncio.gather(*map(one, users)), strict=True))
