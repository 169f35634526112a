"""The server's own token, and those of clients: least privilege, renewed in time. Knows channel names, not HTTP.

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

from graph_service.errors import FriendsError
from graph_service.model.sharding import ShardMap
from pubnub_bridge.pubnub_api.sdk import Grant, PubNubSdk

STATUS_CHANNEL = "status.global"
SERVER_MINUTES = 60
_log = structlog.get_logger(__name__)


def client_grant(user: str, shard_channels: Sequence[str]) -> Grant:
    """What one user's client may do."""
    return Grant(
        read=(f"inbox.{user}", *shard_channels, STATUS_CHANNEL),
        get=(f"friends.{user}",),
        get_uuids=(user,),
    )


SERVER_GRANT = Grant(
    read_patterns=(r"^presence\.shard-[0-9.]+(-pnpres)?$",),
    write_patterns=(r"^inbox\..+$", r"^status\.global$"),
)
"""What the bridge itself does with a token; the rest is signed."""


@dataclass(frozen=True, slots=True)
class Token:
    """A client's token and its times, unix seconds."""

    token: str
    expires_at: int
    renew_at: int


class Tokens:
    """Grants tokens; without Access Manager nobody needs one."""

    def __init__(self, client: PubNubSdk, server: str, enabled: bool, minutes: int) -> None:
        self._client = client
        self._server = server
        self._enabled = enabled
        self._minutes = minutes
        self._own: str | None = None
        self._wanted = asyncio.Event()

    def server_token(self) -> str | None:
        """The server's token, or None without Access Manager."""
        return self._own

    def refused(self) -> None:
        """PubNub did not accept the server's token: a new one is granted."""
        self._wanted.set()

    async def grant_server_token(self) -> None:
        """Grant the server's first token. Raises what `PubNubSdk.grant` raises."""
        if self._enabled:
            self._own = await self._client.grant(SERVER_MINUTES, self._server, SERVER_GRANT)

    async def run(self) -> None:
        """Renew the server's token at half its time, or when it was refused, for ever."""
        while True:
            self._wanted.clear()
            try:
                async with asyncio.timeout(SERVER_MINUTES * 30):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            try:
                await self.grant_server_token()
            except FriendsError as error:
                _log.error("the server's token was not renewed", reason=str(error))
            await asyncio.sleep(1.0)

    async def client_token(self, user: str, shards: ShardMap) -> Token | None:
        """A token for one user's client, or None without Access Manager."""
        if not self._enabled:
            return None
        granted = int(time.time())
        token = await self._client.grant(self._minutes, user, client_grant(user, shards.channels_of(user)))
        life = self._minutes * 60
        return Token(token, granted + life, granted + life * 3 // 4)
