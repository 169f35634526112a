"""Publishing over HTTP: our own keep-alive connections to the origin. Knows PubNub's publish call, nothing of friends.

The call is ``POST /publish/{pub}/{sub}/0/{channel}/0`` with a JSON body (PubNub docs: publish); answers are sorted
into what the caller must do about them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol
from urllib.parse import quote

from pubnub_bridge.pubnub_api.http_pipeline import ConnectionPool, NoResponse


class Outcome(Enum):
    """What became of one publish."""

    SENT = auto()
    LATER = auto()
    """Too many calls, a server's error, or no answer: the same message may succeed later."""
    DENIED = auto()
    """The token is not accepted: a new one is needed."""
    REFUSED = auto()
    """The message itself is wrong; it will never be accepted."""


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The outcome, with the server's words where it is not good, and how long it asks to wait."""

    outcome: Outcome
    reason: str = ""
    retry_after: float = 0.0


SENT = PublishResult(Outcome.SENT)


class Post(Protocol):
    """What publishes one message."""

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Publish, and say what became of it; never raises for what the network does."""


_PLAIN = re.compile(r"[A-Za-z0-9._-]+").fullmatch
"""Whether a channel may stand in a path as it is: nearly all do, and asking costs less than quoting."""
_ABOUT_THE_KEYS = ("Invalid Key", "Invalid Subscribe Key")


@dataclass(frozen=True, slots=True)
class Keyset:
    """Where and as whom to call PubNub."""

    origin: str
    """host or host:port"""
    subscribe_key: str
    publish_key: str
    tls: bool = True
    uuid: str = "friends-presence"

    @property
    def base(self) -> str:
        """Scheme and host."""
        return f"{'https' if self.tls else 'http'}://{self.origin}"


def judged(status: int, body: str, retry_after: str | None) -> PublishResult:
    """What an answer means (PubNub docs: publish errors)."""
    if status == 200 and body.startswith("[1"):
        return SENT
    reason = f"{status} {body[:200]}"
    if status in {401, 403}:
        return PublishResult(Outcome.DENIED, reason)
    if status in {400, 413, 414} and not any(word in body for word in _ABOUT_THE_KEYS):
        return PublishResult(Outcome.REFUSED, reason)
    return PublishResult(Outcome.LATER, reason, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, min(60.0, float(retry_after or 0)))
    except ValueError:
        return 0.0


class PublishClient:
    """Publishes over kept connections, as many at once as callers ask."""

    def __init__(self, keyset: Keyset, token: Callable[[], str | None], depth: int = 1) -> None:
        host, _, port = keyset.origin.partition(":")
        address = (host, int(port or (443 if keyset.tls else 80)))
        self.connections = ConnectionPool(address, _tls() if keyset.tls else None, depth)
        self._token = token
        self._before = f"POST /publish/{keyset.publish_key}/{keyset.subscribe_key}/0/".encode()
        self._query = f"/0?uuid={quote(keyset.uuid, safe='')}&store=0"
        self._headers = (
            f"Host: {keyset.origin}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
        )
        self._with: tuple[str | None, bytes] = (None, self._after(None))

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Publish one message, not stored; never raises for what the network does."""
        token = self._token()
        if token != self._with[0]:
            self._with = (token, self._after(token))
        parts = (
            self._before,
            quote(channel, safe="").encode(),
            self._with[1],
            b"%d\r\n\r\n" % len(body),
            body,
        )
        try:
            answer = await self.connections.call(b"".join(parts))
        except (NoResponse, OSError, TimeoutError) as error:
            return PublishResult(Outcome.LATER, str(error) or type(error).__name__)
        if answer.status == 200 and answer.body.startswith(b"[1"):
            return SENT
        return judged(answer.status, answer.body.decode(errors="replace"), answer.headers.get("retry-after"))

    def _after(self, token: str | None) -> bytes:
        auth = f"&auth={quote(token, safe='')}" if token else ""
        return f"{self._query}{auth} HTTP/1.1\r\n".encode() + self._headers


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
