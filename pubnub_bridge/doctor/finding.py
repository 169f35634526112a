"""The doctor's findings: one record for each check, with its remedy. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The result of a check."""

    FINE = "fine"
    WARNING = "warning"
    """It works now, and may fail later or for some users."""
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    area: str
    check: str
    state: State
    found: str
    todo: str = ""
    """How to fix it; empty for `State.FINE`."""


@dataclass(frozen=True, slots=True)
class Area:
    """Creates the findings of one area."""

    name: str

    def fine(self, check: str, found: str) -> Finding:
        """A check that passes."""
        return Finding(area=self.name, check=check, state=State.FINE, found=found)

    def warning(self, check: str, found: str, todo: str) -> Finding:
        """A check that passes with a risk."""
        return Finding(area=self.name, check=check, state=State.WARNING, found=found, todo=todo)

    def failure(self, check: str, found: str, todo: str) -> Finding:
        """A check that fails."""
        return Finding(area=self.name, check=check, state=State.FAILURE, found=found, todo=todo)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether any check failed, which makes the exit code 1."""
    return any(one.state is State.FAILURE for one in findings)


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """As JSON."""
    rows = [
        {"area": one.area, "check": one.check, "state": one.state, "seen": one.found, "todo": one.todo}
        for one in findings
    ]
    return {"ok": not failed(findings), "findings": rows}
