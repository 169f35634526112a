"""What the doctor finds: one line a check, with what to do about it. Pure; knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How a check came out."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and may not later or not for everybody."""
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check."""

    area: str
    check: str
    state: State
    seen: str
    todo: str = ""
    """What to switch on, and where; empty where all is well."""


@dataclass(frozen=True, slots=True)
class Area:
    """Makes the findings of one area."""

    name: str

    def fine(self, check: str, seen: str) -> Finding:
        """All is well."""
        return Finding(self.name, check, State.FINE, seen)

    def warning(self, check: str, seen: str, todo: str) -> Finding:
        """Somebody should look at it."""
        return Finding(self.name, check, State.WARNING, seen, todo)

    def failure(self, check: str, seen: str, todo: str) -> Finding:
        """It does not work."""
        return Finding(self.name, check, State.FAILURE, seen, todo)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether the exit code must tell of it."""
    return any(one.state is State.FAILURE for one in findings)


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """As JSON."""
    return {"ok": not failed(findings), "findings": [asdict(one) for one in findings]}
