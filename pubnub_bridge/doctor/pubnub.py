"""Checks of PubNub: keys, add-ons and clock, each by what PubNub does and not by how it is configured.

Each remedy names what to switch on and where (PubNub docs: Admin Portal, keyset configuration).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from graph_service.errors import FriendsError
from pubnub_bridge.doctor.backends import skew
from pubnub_bridge.doctor.finding import Area, Finding
from pubnub_bridge.doctor.probe import TEST_USERS, Probe, ProbeEvents, ProbeRefused
from pubnub_bridge.pubnub_api.publish_client import Outcome, PublishClient
from pubnub_bridge.runtime.context import BridgeContext
from pubnub_bridge.runtime.startup import prepare

AREA = Area("PubNub")
PORTAL = "PubNub's Admin Portal, the keyset's configuration"
_ERRORS = (FriendsError, ProbeRefused, aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    call: Callable[[BridgeContext, Probe], Awaitable[list[Finding]]]
    todo: str
    """The remedy where the call raises."""


async def check(context: BridgeContext) -> list[Finding]:
    """All findings; where PubNub does not respond or rejects the keys, only that. An error of PubNub is a finding."""
    try:
        await context.clock.synchronize(context.http_session, context.keyset)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError) as error:
        silent = f"{context.keyset.base} does not respond: {str(error) or type(error).__name__}"
        return [AREA.failure("origin", silent, "Check PUBNUB_ORIGIN, PUBNUB_TLS and the network")]
    found = [
        AREA.fine("origin", f"{context.keyset.base} responds"),
        skew("PubNub", context.clock.offset_milliseconds / 1000),
    ]
    try:
        await prepare(context)
    except FriendsError as error:
        todo = f"Check PUBNUB_SECRET_KEY, and switch on Access Manager in {PORTAL}"
        return [*found, AREA.failure("grant", str(error), todo)]
    async with Probe.open(context) as probe:
        checks = [
            _Check("publish", _publish, "Check PUBNUB_PUBLISH_KEY and PUBNUB_SUBSCRIBE_KEY"),
            _Check("Access Manager", _access, f"Switch on Access Manager in {PORTAL}"),
            _Check("App Context", _app_context, f"Switch on App Context in {PORTAL}, or APP_CONTEXT=off"),
            _Check("presence", _presence, f"Switch on Presence in {PORTAL}, for channels presence.*"),
            _Check("control API", _control, "Check which server responds there"),
        ]
        results = await asyncio.gather(*(_run(check, context, probe) for check in checks))
    return found + [one for some in results for one in some]


async def _run(check: _Check, context: BridgeContext, probe: Probe) -> list[Finding]:
    try:
        return await check.call(context, probe)
    except _ERRORS as error:
        return [AREA.failure(check.name, str(error) or type(error).__name__, check.todo)]


async def _publish(context: BridgeContext, _probe: Probe) -> list[Finding]:
    pool = PublishClient(keyset=context.keyset, token=context.tokens.server_token)
    try:
        result = await pool.post("inbox.friends-presence-doctor", b'{"type":"doctor"}')
    finally:
        pool.connections.close()
    if result.outcome is Outcome.SENT:
        return [AREA.fine("publish", "the keys are accepted")]
    return [AREA.failure("publish", result.reason, "Check PUBNUB_PUBLISH_KEY and PUBNUB_SUBSCRIBE_KEY")]


async def _access(context: BridgeContext, probe: Probe) -> list[Finding]:
    wanted = context.settings.access_manager
    open_to_all = await probe.open_without_token("inbox.friends-presence-doctor")
    if wanted and open_to_all:
        unprotected = "tokens are granted and not required: any client can listen on any inbox"
        return [AREA.failure("Access Manager", unprotected, f"Switch on Access Manager in {PORTAL}")]
    if not wanted and not open_to_all:
        locked = "the keyset requires tokens, and ACCESS_MANAGER=false grants none"
        return [AREA.failure("Access Manager", locked, "ACCESS_MANAGER=true, with PUBNUB_SECRET_KEY")]
    return [
        AREA.fine(
            "Access Manager",
            "on: clients without a token are rejected" if wanted else "off, as ACCESS_MANAGER says",
        )
    ]


async def _app_context(context: BridgeContext, _probe: Probe) -> list[Finding]:
    if context.settings.app_context == "off":
        return [AREA.fine("App Context", "not used (APP_CONTEXT=off)")]
    user = f"friends-presence-doctor-{secrets.token_hex(4)}"
    await context.pubnub.set_user(user, "Doctor", {"online": False})
    await context.pubnub.remove_user(user)
    return [AREA.fine("App Context", "a user was written and removed")]


async def _presence(context: BridgeContext, probe: Probe) -> list[Finding]:
    cursor, events = await probe.cursor(), ProbeEvents()
    listening = asyncio.create_task(probe.listen(cursor, events, TEST_USERS))
    try:
        await probe.join(probe.users)
        here = await context.pubnub.here_now(probe.channel)
        await listening
    finally:
        listening.cancel()
    return check_presence(events, len(set(here.users) & set(probe.users)))


def check_presence(events: ProbeEvents, here: int) -> list[Finding]:
    """Findings on presence and Presence Deltas, from the events of a probe and its users in Here Now."""
    todo = f"Switch on Presence in {PORTAL}, for channels presence.*"
    if not here:
        return [AREA.failure("presence", f"Here Now lists none of {TEST_USERS} users who are present", todo)]
    if not events.announced and not events.intervals:
        return [AREA.failure("presence", "Here Now works, and no presence event arrived", todo)]
    found = [
        AREA.fine(
            "presence", f"{here} of {TEST_USERS} in Here Now, {len(events.announced)} announced by name"
        )
    ]
    if events.named:
        return [*found, AREA.fine("Presence Deltas", "on: interval events name the users who joined")]
    if events.intervals:
        slow = "off: interval events name no users, so every change is found by Here Now, later"
        return [*found, AREA.warning("Presence Deltas", slow, f"Switch on Presence Deltas in {PORTAL}")]
    untested = f"not tested: Announce Max is above {TEST_USERS}, so no interval event arrived"
    return [*found, AREA.fine("Presence Deltas", untested)]


async def _control(context: BridgeContext, _probe: Probe) -> list[Finding]:
    async with context.http_session.get(f"{context.keyset.base}/_control/clock") as response:
        is_local_origin = response.status == 200
    if not is_local_origin:
        return [AREA.fine("control API", "none")]
    report = AREA.failure if context.settings.environment == "production" else AREA.warning
    found = "this is the local origin, and any client that reaches it can control it"
    todo = "For real users: PUBNUB_ORIGIN=ps.pndsn.com; the local origin is for development"
    return [report("control API", found, todo)]
