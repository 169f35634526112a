"""The doctor's look at PubNub: keys, add-ons and clock, each by what PubNub does rather than by what it is set to.

Knows what to switch on and where (PubNub docs: Admin Portal, keyset configuration).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import aiohttp

from graph_service.errors import FriendsError
from pubnub_bridge.doctor.backends import skew
from pubnub_bridge.doctor.finding import Area, Finding
from pubnub_bridge.doctor.probe import PEOPLE, Probe, ProbeEvents, ProbeRefused
from pubnub_bridge.pubnub_api.publish_client import Outcome, PublishClient
from pubnub_bridge.runtime.context import BridgeContext
from pubnub_bridge.runtime.startup import prepare

AREA = Area("PubNub")
PORTAL = "PubNub's Admin Portal, the keyset's configuration"
_TROUBLE = (FriendsError, ProbeRefused, aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError)


async def look(context: BridgeContext) -> list[Finding]:
    """All findings. Where PubNub does not answer, or refuses the keys, there is only that. Never raises that."""
    try:
        await context.clock.synchronize(context.http_session, context.keyset)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError) as error:
        seen = f"{context.keyset.base} does not answer: {str(error) or type(error).__name__}"
        return [AREA.failure("origin", seen, "Check PUBNUB_ORIGIN, PUBNUB_TLS and the network")]
    found = [
        AREA.fine("origin", f"{context.keyset.base} answers"),
        skew("PubNub", context.clock.offset_milliseconds / 1000),
    ]
    try:
        await prepare(context)
    except FriendsError as error:
        todo = f"Check PUBNUB_SECRET_KEY, and switch on Access Manager in {PORTAL}"
        return [*found, AREA.failure("grant", str(error), todo)]
    async with Probe.open(context) as probe:
        checks: list[tuple[str, Callable[[BridgeContext, Probe], Awaitable[list[Finding]]], str]] = [
            ("publish", _publish, "Check PUBNUB_PUBLISH_KEY and PUBNUB_SUBSCRIBE_KEY"),
            ("Access Manager", _access, f"Switch on Access Manager in {PORTAL}"),
            ("App Context", _app_context, f"Switch on App Context in {PORTAL}, or APP_CONTEXT=off"),
            ("presence", _presence, f"Switch on Presence in {PORTAL}, for channels presence.*"),
            ("control API", _control, "Look at what answers there"),
        ]
        results = await asyncio.gather(*(_tried(check, context, probe) for check in checks))
    return found + [one for some in results for one in some]


async def _tried(
    check: tuple[str, Callable[[BridgeContext, Probe], Awaitable[list[Finding]]], str],
    context: BridgeContext,
    probe: Probe,
) -> list[Finding]:
    name, call, todo = check
    try:
        return await call(context, probe)
    except _TROUBLE as error:
        return [AREA.failure(name, str(error) or type(error).__name__, todo)]


async def _publish(context: BridgeContext, _probe: Probe) -> list[Finding]:
    pool = PublishClient(keyset=context.keyset, token=context.tokens.server_token)
    try:
        answer = await pool.post("inbox.friends-presence-doctor", b'{"type":"doctor"}')
    finally:
        pool.connections.close()
    if answer.outcome is Outcome.SENT:
        return [AREA.fine("publish", "the keys are accepted")]
    return [AREA.failure("publish", answer.reason, "Check PUBNUB_PUBLISH_KEY and PUBNUB_SUBSCRIBE_KEY")]


async def _access(context: BridgeContext, probe: Probe) -> list[Finding]:
    wanted = context.settings.access_manager
    stranger = await probe.open_without_token("inbox.friends-presence-doctor")
    if wanted and stranger:
        seen = "a token is granted, and nobody needs one: strangers may listen on any inbox"
        return [AREA.failure("Access Manager", seen, f"Switch on Access Manager in {PORTAL}")]
    if not wanted and not stranger:
        seen = "the keyset asks for tokens, and ACCESS_MANAGER=off grants none"
        return [AREA.failure("Access Manager", seen, "ACCESS_MANAGER=on, with PUBNUB_SECRET_KEY")]
    return [
        AREA.fine("Access Manager", "on: strangers are refused" if wanted else "off, as ACCESS_MANAGER says")
    ]


async def _app_context(context: BridgeContext, _probe: Probe) -> list[Finding]:
    if context.settings.app_context == "off":
        return [AREA.fine("App Context", "not used (APP_CONTEXT=off)")]
    user = f"friends-presence-doctor-{secrets.token_hex(4)}"
    await context.pubnub.set_user(user, "Doctor", {"online": False})
    await context.pubnub.remove_user(user)
    return [AREA.fine("App Context", "a user was written and removed")]


async def _presence(context: BridgeContext, probe: Probe) -> list[Finding]:
    cursor, heard = await probe.cursor(), ProbeEvents()
    listening = asyncio.create_task(probe.listen(cursor, heard, PEOPLE))
    try:
        await probe.join(probe.people)
        here = await context.pubnub.here_now(probe.channel)
        await listening
    finally:
        listening.cancel()
    return judged(heard, len(set(here.users) & set(probe.people)))


def judged(heard: ProbeEvents, here: int) -> list[Finding]:
    """What a probe's people show of presence and of its Deltas."""
    todo = f"Switch on Presence in {PORTAL}, for channels presence.*"
    if not here:
        return [AREA.failure("presence", f"Here Now shows none of {PEOPLE} people who are there", todo)]
    if not heard.announced and not heard.intervals:
        return [AREA.failure("presence", "Here Now works, and no presence event came", todo)]
    found = [
        AREA.fine("presence", f"{here} of {PEOPLE} in Here Now, {len(heard.announced)} announced by name")
    ]
    if heard.named:
        return [*found, AREA.fine("Presence Deltas", "on: interval events name who came")]
    if heard.intervals:
        seen = "off: interval events name nobody, so every change is found by Here Now, later"
        return [*found, AREA.warning("Presence Deltas", seen, f"Switch on Presence Deltas in {PORTAL}")]
    seen = f"not seen: Announce Max is above {PEOPLE}, so no interval event came"
    return [*found, AREA.fine("Presence Deltas", seen)]


async def _control(context: BridgeContext, _probe: Probe) -> list[Finding]:
    async with context.http_session.get(f"{context.keyset.base}/_control/clock") as reply:
        steerable = reply.status == 200
    if not steerable:
        return [AREA.fine("control API", "none")]
    told = AREA.failure if context.settings.environment == "production" else AREA.warning
    seen = "this is the local origin, and anybody who reaches it may steer it"
    return [
        told(
            "control API", seen, "For people: PUBNUB_ORIGIN=ps.pndsn.com; the local origin is for development"
        )
    ]
