"""Publish client: PubNub's publish call over our own keep-alive connections; a response becomes what to do about it.

The call is ``POST /publish/{pub}/{sub}/0/{channel}/0`` with a JSON body (PubNub docs: publish).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol
from urllib.parse import quote

from pubnub_bridge.pubnub_api.http_pipeline import ConnectionPool, NoResponse

MAX_RETRY_AFTER_SECONDS = 60.0
MAX_REASON_CHARACTERS = 200


class Outcome(Enum):
    """What became of one publish. The names are label values of a metric."""

    SENT = auto()
    LATER = auto()
    """Too many calls, a server's error, or no response: the same message may succeed later."""
    DENIED = auto()
    """The token is not accepted: a new one is needed."""
    REFUSED = auto()
    """The message itself is invalid; it will never be accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """The outcome; where it is not SENT, with the server's text, and how long it asks to wait."""

    outcome: Outcome
    reason: str = ""
    retry_after: float = 0.0
    """Seconds."""
    rate_limited: bool = False
    """Whether PubNub answered that there are too many calls (429): it is up, so no circuit breaker should open."""


SENT = PublishResult(outcome=Outcome.SENT)


class Post(Protocol):
    """Publishes one message."""

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Publish; never raises for what the network does."""


_ABOUT_THE_KEYS = ("Invalid Key", "Invalid Subscribe Key")


@dataclass(frozen=True, slots=True, kw_only=True)
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


def classify(status: int, body: str, retry_after: str | None) -> PublishResult:
    """What to do about a response (PubNub docs: publish errors)."""
    if status == 200 and body.startswith("[1"):
        return SENT
    reason = f"{status} {body[:MAX_REASON_CHARACTERS]}"
    if status in {401, 403}:
        return PublishResult(outcome=Outcome.DENIED, reason=reason)
    # A wrong key also comes as a 400, but is the operator's to fix: no message is dead-lettered for it.
    if status in {400, 413, 414} and not any(word in body for word in _ABOUT_THE_KEYS):
        return PublishResult(outcome=Outcome.REFUSED, reason=reason)
    return PublishResult(
        outcome=Outcome.LATER, reason=reason, retry_after=_seconds(retry_after), rate_limited=status == 429
    )


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, min(MAX_RETRY_AFTER_SECONDS, float(retry_after or 0)))
    except ValueError:
        return 0.0


class PublishClient:
    """Publishes as many messages at once as callers ask, up to `pipeline_depth` on each connection."""

    def __init__(self, *, keyset: Keyset, token: Callable[[], str | None], pipeline_depth: int = 1) -> None:
        host, _, port = keyset.origin.partition(":")
        address = (host, int(port or (443 if keyset.tls else 80)))
        tls = _tls() if keyset.tls else None
        self.connections = ConnectionPool(address=address, tls=tls, depth=pipeline_depth)
        self._token = token
        self._before = f"POST /publish/{keyset.publish_key}/{keyset.subscribe_key}/0/".encode()
        self._query = f"/0?uuid={quote(keyset.uuid, safe='')}&store=0"
        self._headers = (
            f"Host: {keyset.origin}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
        )
        self._with_token: tuple[str | None, bytes] = (None, self._after(None))
        """The rest of the request after the channel, encoded once for each token."""

    async def post(self, channel: str, body: bytes) -> PublishResult:
        """Publish one message, not stored by PubNub; never raises for what the network does."""
        token = self._token()
        if token != self._with_token[0]:
            self._with_token = (token, self._after(token))
        parts = (
            self._before,
            quote(channel, safe="").encode(),
            self._with_token[1],
            b"%d\r\n\r\n" % len(body),
            body,
        )
        try:
            response = await self.connections.call(b"".join(parts))
        except (NoResponse, OSError, TimeoutError) as error:
            return PublishResult(outcome=Outcome.LATER, reason=str(error) or type(error).__name__)
        # Nearly every response: no text is decoded for it.
        if response.status == 200 and response.body.startswith(b"[1"):
            return SENT
        text = response.body.decode(errors="replace")
        return classify(response.status, text, response.headers.get("retry-after"))

    def _after(self, token: str | None) -> bytes:
        auth = f"&auth={quote(token, safe='')}" if token else ""
        return f"{self._query}{auth} HTTP/1.1\r\n".encode() + self._headers


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
