"""Injected faults: which requests fail, which events are lost, duplicated or reordered.

Pure: rules and their counters. Randomness comes from a seeded generator, so a run can be repeated.
"""

from __future__ import annotations

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from local_stack.origin.channels import Found
from local_stack.origin.envelope import Event

CallFault = Literal["status", "reset", "stall", "slow"]
EventFault = Literal["lose", "duplicate", "reorder"]


class Fault(BaseModel):
    """One rule. `prefix` is matched against the path of a call, or the channel of an event; `rate` is the share of
    matches it applies to, `times` how often in all (None: without end)."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "reset", "stall", "slow", "lose", "duplicate", "reorder"]
    prefix: str = ""
    rate: float = Field(default=1.0, ge=0, le=1)
    times: int | None = Field(default=None, ge=1)
    status: int = Field(default=503, ge=400, le=599)
    retry_after_s: int | None = Field(default=None, ge=0)
    delay_ms: int = Field(default=0, ge=0)


class Faults:
    """The current rules, in order; the first that matches applies."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Fault] = []
        self.applied: dict[str, int] = {}
        self._random = random.Random(seed)

    def seed(self, seed: int) -> None:
        """Restart the random sequence."""
        self._random.seed(seed)

    def of_call(self, path: str) -> Fault | None:
        """The fault that applies to a request of `path`, if any."""
        return self._drawn(("status", "reset", "stall", "slow"), path) if self.rules else None

    def loses(self, event: Event) -> bool:
        """Whether `event` is lost for all subscribers."""
        return bool(self.rules) and self._drawn(("lose",), event.channel) is not None

    def disturbed(self, found: Found) -> Found:
        """The events as they are delivered: some twice, or in another order."""
        if not self.rules:
            return found
        batch: Found = []
        for match, event in found:
            batch += [(match, event)] * (2 if self._drawn(("duplicate",), event.channel) else 1)
        if len(batch) > 1 and self._drawn(("reorder",), batch[0][1].channel):
            self._random.shuffle(batch)
        return batch

    def _drawn(self, kinds: tuple[str, ...], name: str) -> Fault | None:
        for rule in self.rules:
            if rule.kind in kinds and name.startswith(rule.prefix) and self._random.random() < rule.rate:
                self._used(rule)
                return rule
        return None

    def _used(self, rule: Fault) -> None:
        self.applied[rule.kind] = self.applied.get(rule.kind, 0) + 1
        if rule.times is not None:
            rule.times -= 1
            if rule.times <= 0:
                self.rules.remove(rule)
