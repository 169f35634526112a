"""PubNub's SDK behind a few typed calls: grants, Here Now, Where Now, App Context. Knows no friends.

The SDK returns errors as values and swallows cancellation; here errors are raised and cancellation is propagated.
Publishing and subscribing are hot paths with code of our own (`publish_client`, `ingest/subscriber`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pubnub.enums import PNStatusCategory
from pubnub.exceptions import PubNubAsyncioException
from pubnub.models.consumer.objects_v2.channel_members import PNUserMember
from pubnub.models.consumer.v3.channel import Channel
from pubnub.models.consumer.v3.uuid import UUID
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler

from graph_service.concurrency import cancellation
from pubnub_bridge.errors import PubNubRefused, PubNubUnavailable
from pubnub_bridge.pubnub_api.publish_client import Keyset

PAGE_SIZE = 1000
"""Users of one Here Now page (PubNub docs: here now limit)."""
MAX_CONCURRENT_CALLS = 50
"""The SDK's own pool has 100 connections."""
MAX_REASON_CHARACTERS = 300
_TEMPORARY = frozenset(
    {
        PNStatusCategory.PNTimeoutCategory,
        PNStatusCategory.PNNetworkIssuesCategory,
        PNStatusCategory.PNUnexpectedDisconnectCategory,
        PNStatusCategory.PNUnknownCategory,
        PNStatusCategory.PNMalformedResponseCategory,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupants:
    """The Here Now response about one channel; `users` may be fewer than `occupancy`."""

    occupancy: int
    users: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token allows, by exact names and by RE2 patterns."""

    read: Sequence[str] = ()
    get: Sequence[str] = ()
    read_patterns: Sequence[str] = ()
    write_patterns: Sequence[str] = ()
    get_uuids: Sequence[str] = ()

    def channels(self) -> list[Channel]:
        """In the form of the SDK."""
        return [
            *(Channel.id(name).read() for name in self.read),
            *(Channel.id(name).get() for name in self.get),
            *(Channel.pattern(name).read() for name in self.read_patterns),
            *(Channel.pattern(name).write() for name in self.write_patterns),
        ]


class PubNubSdk:
    """Calls signed with the secret key."""

    def __init__(self, *, sdk: PubNubAsyncio) -> None:
        self._sdk = sdk
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)

    @classmethod
    @asynccontextmanager
    async def open(cls, keyset: Keyset, secret_key: str | None) -> AsyncIterator[PubNubSdk]:
        """A client of a keyset; its connections are closed at the end."""
        config = PNConfiguration()
        config.subscribe_key, config.publish_key = keyset.subscribe_key, keyset.publish_key
        config.secret_key = secret_key
        config.user_id = keyset.uuid
        config.origin, config.ssl = keyset.origin, keyset.tls
        config.enable_subscribe = False
        sdk = PubNubAsyncio(config, custom_request_handler=AsyncAiohttpRequestHandler)
        try:
            yield cls(sdk=sdk)
        finally:
            await sdk.close_session()

    async def grant(self, minutes: int, user: str, grant: Grant) -> str:
        """A token for one user id (PubNub docs: Access Manager v3)."""
        endpoint = self._sdk.grant_token().ttl(minutes).authorized_uuid(user).channels(grant.channels())
        if grant.get_uuids:
            endpoint = endpoint.uuids([UUID.id(name).get() for name in grant.get_uuids])
        return str((await self._call("grant", endpoint)).token)

    async def here_now(self, channel: str) -> Occupants:
        """The users on a channel, from all pages. Paging is by offset over a moving set, so some may be missing."""
        users: dict[str, None] = {}
        while True:
            endpoint = self._sdk.here_now().channels(channel).include_uuids(True).limit(PAGE_SIZE)
            if users:
                endpoint = endpoint.offset(len(users))
            found = await self._call("here now", endpoint)
            occupancy, page = _occupants(found, channel)
            before = len(users)
            users.update(dict.fromkeys(page))
            # A page without a new user ends it too: the set may move faster than the pages.
            if len(page) < PAGE_SIZE or len(users) == before:
                return Occupants(occupancy=occupancy, users=list(users))

    async def occupancy(self, channels: Sequence[str]) -> dict[str, int]:
        """The number of users on each channel."""
        endpoint = self._sdk.here_now().channels(list(channels)).include_uuids(False).limit(0)
        found = await self._call("here now", endpoint)
        counts = {one.channel_name: int(one.occupancy) for one in found.channels or ()}
        return {channel: counts.get(channel, 0) for channel in channels}

    async def where_now(self, user: str) -> frozenset[str]:
        """The channels a user is on."""
        found = await self._call("where now", self._sdk.where_now().uuid(user))
        return frozenset(found.channels)

    async def set_user(self, user: str, name: str, custom: Mapping[str, Any]) -> None:
        """Write a user's metadata."""
        endpoint = self._sdk.set_uuid_metadata().uuid(user).set_name(name).custom(dict(custom))
        await self._call("set user", endpoint)

    async def remove_user(self, user: str) -> None:
        """Delete a user's metadata; a user without any is no error."""
        await self._call("remove user", self._sdk.remove_uuid_metadata().uuid(user))

    async def set_channel(self, channel: str, name: str, custom: Mapping[str, Any]) -> None:
        """Write a channel's metadata."""
        endpoint = self._sdk.set_channel_metadata().channel(channel).set_name(name).custom(dict(custom))
        await self._call("set channel", endpoint)

    async def remove_channel(self, channel: str) -> None:
        """Delete a channel's metadata; a channel without any is no error."""
        await self._call("remove channel", self._sdk.remove_channel_metadata().channel(channel))

    async def members(self, channel: str) -> set[str]:
        """The first hundred members of a channel."""
        found = await self._call("members", self._sdk.get_channel_members().channel(channel).limit(100))
        return {str(row["uuid"]["id"]) for row in found.data}

    async def metadata_count(self, user: str, channel: str) -> int:
        """How many entries App Context has about a user: their metadata, their channel's, their memberships."""
        endpoints = (
            self._sdk.get_uuid_metadata().uuid(user),
            self._sdk.get_channel_metadata().channel(channel),
        )
        found = [await self._call_or_none("get metadata", one) for one in endpoints]
        memberships = await self._call_or_none(
            "memberships", self._sdk.get_memberships().uuid(user).limit(100)
        )
        return sum(one is not None for one in found) + len(memberships.data if memberships else ())

    async def _call_or_none(self, name: str, endpoint: Any) -> Any:
        """The result of a call, or None for a 404."""
        try:
            return await self._call(name, endpoint)
        except (PubNubRefused, PubNubUnavailable) as error:
            if error.fields.get("http") == 404:
                return None
            raise

    async def change_members(
        self, channel: str, added: Mapping[str, Mapping[str, Any]], removed: Sequence[str]
    ) -> None:
        """Add members with their custom data, and remove others; at most 100 of both."""
        endpoint = (
            self._sdk.manage_channel_members()
            .channel(channel)
            .set([PNUserMember(user, custom=dict(custom)) for user, custom in added.items()])
            .remove([PNUserMember(user) for user in removed])
            .limit(1)
        )
        await self._call("change members", endpoint)

    async def _call(self, name: str, endpoint: Any) -> Any:
        """The result of a call.

        Raises:
            PubNubUnavailable: no response, or an error that may be gone next time.
            PubNubRefused: the call is not allowed, or not understood.
        """
        async with self._slots:
            with cancellation.propagate_cancellation():
                outcome = await endpoint.future()
        if not isinstance(outcome, PubNubAsyncioException):
            return outcome.result
        status = outcome.status
        code = status.status_code or 0
        reason = str(outcome)[:MAX_REASON_CHARACTERS]
        if status.category in _TEMPORARY or code == 429 or code >= 500 or not code:
            raise PubNubUnavailable(reason=reason, http=code)
        raise PubNubRefused(call=name, reason=reason, http=code)


def _occupants(found: Any, channel: str) -> tuple[int, list[str]]:
    for one in found.channels or ():
        if one.channel_name == channel:
            return int(one.occupancy), [str(occupant.uuid) for occupant in one.occupants or ()]
    return 0, []
