"""Publishing over HTTP: our own keep-alive connections to the origin. Knows PubNub's publish call, nothing of friends.

The call is ``POST /publish/{pub}/{sub}/0/{channel}/0`` with a JSON body (PubNub docs: publish); answers are sorted
into what the caller must do about them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote

import aiohttp


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
class Answer:
    """The outcome, with the server's words where it is not good, and how long it asks to wait."""

    outcome: Outcome
    reason: str = ""
    retry_after: float = 0.0


SENT = Answer(Outcome.SENT)
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


def judged(status: int, body: str, retry_after: str | None) -> Answer:
    """What an answer means (PubNub docs: publish errors)."""
    if status == 200 and body.startswith("[1"):
        return SENT
    reason = f"{status} {body[:200]}"
    if status in {401, 403}:
        return Answer(Outcome.DENIED, reason)
    if status in {400, 413, 414} and not any(word in body for word in _ABOUT_THE_KEYS):
        return Answer(Outcome.REFUSED, reason)
    return Answer(Outcome.LATER, reason, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, min(60.0, float(retry_after or 0)))
    except ValueError:
        return 0.0


class Pool:
    """Publishes through an aiohttp session whose connections are kept."""

    def __init__(
        self, session: aiohttp.ClientSession, keyset: Keyset, token: Callable[[], str | None]
    ) -> None:
        self._session = session
        self._keyset = keyset
        self._token = token
        self._path = f"{keyset.base}/publish/{keyset.publish_key}/{keyset.subscribe_key}/0"

    async def post(self, channel: str, body: bytes) -> Answer:
        """Publish one message, not stored; never raises for what the network does."""
        query = {"uuid": self._keyset.uuid, "store": "0"}
        if token := self._token():
            query["auth"] = token
        try:
            async with self._session.post(
                f"{self._path}/{quote(channel, safe='')}/0",
                params=query,
                data=body,
                headers={"Content-Type": "application/json"},
            ) as reply:
                return judged(reply.status, await reply.text(), reply.headers.get("Retry-After"))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return Answer(Outcome.LATER, str(error) or type(error).__name__)
