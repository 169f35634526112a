"""Access Manager tokens: the server's own, renewed in time, and those of clients, with least privilege.

A client's token allows read on its own inbox, its own shard (not the shard's presence events) and the global
status, and get on its own metadata. Read on the shard allows Here Now on it (PubNub docs: permissions), so ids
must be opaque.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from graph_service.concurrency.wait import wait_or_timeout
from graph_service.errors import FriendsError
from graph_service.model.sharding import ShardMap
from pubnub_bridge.pubnub_api.sdk import Grant, PubNubSdk

STATUS_CHANNEL = "status.global"
SERVER_TOKEN_MINUTES = 60
SERVER_RENEWAL_SECONDS = SERVER_TOKEN_MINUTES * 60 // 2
MIN_RENEWAL_INTERVAL_SECONDS = 1.0
"""At least this long between two grants, however often the token is refused."""
_log = structlog.get_logger(__name__)


def client_grant(user: str, shard_channels: Sequence[str]) -> Grant:
    """The permissions of one user's client."""
    return Grant(
        read=(f"inbox.{user}", *shard_channels, STATUS_CHANNEL),
        get=(f"friends.{user}",),
        get_uuids=(user,),
    )


SERVER_GRANT = Grant(
    read_patterns=(r"^presence\.shard-[0-9.]+(-pnpres)?$",),
    write_patterns=(r"^inbox\..+$", r"^status\.global$"),
)
"""What the bridge does with a token; its other calls are signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A client's token with its times, unix seconds."""

    token: str
    expires_at: int
    renew_at: int


class Tokens:
    """Grants tokens. Without Access Manager (`enabled` false) there are none."""

    def __init__(self, *, pubnub: PubNubSdk, server_user: str, enabled: bool, client_minutes: int) -> None:
        self._pubnub = pubnub
        self._server_user = server_user
        self._enabled = enabled
        self._client_minutes = client_minutes
        self._server_token: str | None = None
        self._refused = asyncio.Event()

    def server_token(self) -> str | None:
        """The server's token, or None without Access Manager."""
        return self._server_token

    def refused(self) -> None:
        """PubNub did not accept the server's token: a new one is granted."""
        self._refused.set()

    async def grant_server_token(self) -> None:
        """Raises what `PubNubSdk.grant` raises."""
        if self._enabled:
            self._server_token = await self._pubnub.grant(
                SERVER_TOKEN_MINUTES, self._server_user, SERVER_GRANT
            )

    async def run(self) -> None:
        """Renew the server's token at half its life, or when it was refused; runs until it is cancelled."""
        while True:
            # Refusals up to here were of the token that has just been replaced.
            self._refused.clear()
            await wait_or_timeout(self._refused, seconds=SERVER_RENEWAL_SECONDS)
            try:
                await self.grant_server_token()
            except FriendsError as error:
                _log.error("token.renew.failed", reason=str(error))
            await asyncio.sleep(MIN_RENEWAL_INTERVAL_SECONDS)

    async def client_token(self, user: str, shards: ShardMap) -> Token | None:
        """A token for one user's client, or None without Access Manager."""
        if not self._enabled:
            return None
        granted_at = int(time.time())
        token = await self._pubnub.grant(
            self._client_minutes, user, client_grant(user, shards.channels_of(user))
        )
        life = self._client_minutes * 60
        return Token(token=token, expires_at=granted_at + life, renew_at=granted_at + life * 3 // 4)
