"""The delivery queue of one webhook: open batches, and failed batches that wait for a retry (PubNub docs).

Pure: batch sizes and ages, retry delays, number of attempts. Time is an argument, in Unix seconds; randomness comes
from a seeded generator.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from local_stack.origin.presence_events import PresenceEvent
from local_stack.origin.webhook_body import SCHEMAS, Envelope, Oddities, body, item, schema


class Target(BaseModel):
    """A webhook and its delivery options. Defaults are PubNub's."""

    model_config = ConfigDict(extra="forbid")

    url: str
    headers: dict[str, str] = {}
    """Custom headers; the documented way to authenticate to the receiver."""
    events: list[str] = list(SCHEMAS)
    """Presence actions that are posted."""
    envelope: Envelope = "none"
    batch_items: int = Field(default=100, ge=1, le=10_000)
    batch_s: float = Field(default=5.0, ge=0, le=300)
    retries: int = Field(default=2, ge=0, le=4)
    retry_base_s: float = Field(default=450.0, ge=0, le=900)
    retry_min_s: float = Field(default=10.0, ge=0)
    """PubNub's shortest wait between two attempts; tests shorten it."""
    duplicate_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of accepted batches that are posted again."""
    oddities: Oddities = Oddities()


@dataclass(slots=True)
class Delivery:
    """One batch in delivery; `tries` counts the failed attempts."""

    body: dict[str, Any]
    tries: int = 0


@dataclass(slots=True)
class _Batch:
    since: float
    items: list[dict[str, Any]] = field(default_factory=list)


class WebhookQueue:
    """The queue of one target. `posted`, `failed` and `given_up` count batches."""

    def __init__(self, *, target: Target, sub_key: str, seed: int = 0) -> None:
        self.target = target
        self.posted = 0
        self.failed = 0
        self.given_up = 0
        self._sub_key = sub_key
        self._random = random.Random(seed)
        self._filling: dict[str, _Batch] = {}
        self._full: list[Delivery] = []
        self._waiting: list[tuple[float, Delivery]] = []

    def add(self, event: PresenceEvent, payload: dict[str, Any], now: float) -> None:
        """Add an event, whose body for subscribers is `payload`, to the batch of its schema, if the target wants it."""
        target = self.target
        if event.action not in target.events:
            return
        name = schema(event.action, target.oddities)
        batch = self._filling.setdefault(name, _Batch(now))
        identity = UUID(int=self._random.getrandbits(128), version=4)
        about = item(event, payload, str(identity), target.oddities)
        batch.items.append(about | {"subKey": self._sub_key})
        if len(batch.items) >= target.batch_items:
            self._close(name)

    def due(self) -> float | None:
        """The next time at which `take` returns something, in Unix seconds."""
        if self._full:
            return 0.0
        ages = [batch.since + self.target.batch_s for batch in self._filling.values()]
        return min([*ages, *(at for at, _ in self._waiting)], default=None)

    def take(self, now: float) -> list[Delivery]:
        """The batches to post now: full, old enough, or due for a retry."""
        for name, batch in list(self._filling.items()):
            if batch.since + self.target.batch_s <= now:
                self._close(name)
        again = [delivery for at, delivery in self._waiting if at <= now]
        self._waiting = [(at, delivery) for at, delivery in self._waiting if at > now]
        taken = self._full + again
        self._full = []
        return taken

    def accepted(self, delivery: Delivery) -> None:
        """The target returned success; a share of the batches is posted again anyway."""
        self.posted += 1
        if self._random.random() < self.target.duplicate_rate:
            self._full.append(Delivery(delivery.body, self.target.retries))

    def refused(self, delivery: Delivery, now: float) -> None:
        """The target did not accept: the batch waits for a retry, or is given up."""
        self.failed += 1
        delivery.tries += 1
        if delivery.tries > self.target.retries:
            self.given_up += 1
            return
        least = self.target.retry_min_s
        most = max(least, min(900.0, (self.target.retry_base_s * 2) ** delivery.tries))
        self._waiting.append((now + self._random.uniform(least, most), delivery))

    def _close(self, name: str) -> None:
        batch = self._filling.pop(name)
        self._full.append(Delivery(body(name, batch.items, self.target.envelope)))
