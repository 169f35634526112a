"""A watched inbox in the terminal, as text or as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from graph_service.model.timestamps import microseconds
from pubnub_bridge.client.diff import Change, Kind
from pubnub_bridge.client.watcher import Numbers

SYMBOLS = {
    Kind.ONLINE: ("●", "green"),
    Kind.OFFLINE: ("○", "bright_black"),
    Kind.ADDED: ("+", "cyan"),
    Kind.REMOVED: ("-", "red"),
    Kind.REQUESTED: ("?", "yellow"),
    Kind.ANSWERED: ("-", "yellow"),
    Kind.SYNC: ("=", "blue"),
}


class Lines:
    """One line for each change, and the numbers below."""

    def __init__(self, *, console: Console, user: str, status: Status) -> None:
        self._console = console
        self._user = user
        self._status = status

    def connected(self, numbers: Numbers) -> None:
        self._console.print(Text.assemble((_clock(datetime.now().astimezone()), "dim"), "  connected"))
        self.numbers(numbers)

    def trouble(self, reason: str) -> None:
        clock = _clock(datetime.now().astimezone())
        self._console.print(Text.assemble((clock, "dim"), ("  ! ", "red"), reason))

    def change(self, change: Change, numbers: Numbers, now: float) -> None:
        sign, style = SYMBOLS[change.kind]
        name = change.name or change.user or "all friends"
        who = f"{name:<24} {change.user if change.name and change.user else '':<10}"
        self._console.print(
            Text.assemble(
                (_clock(datetime.fromtimestamp(now).astimezone()), "dim"),
                (f"  {sign} ", style),
                f"{who} ",
                (f"{change.kind:<9}", style),
                (f" {_latency(change, now):>7} ms", "dim"),
                f"   {_friends(change.online, numbers.total)}",
            )
        )
        self.numbers(numbers)

    def numbers(self, numbers: Numbers) -> None:
        parts = [self._user, _friends(numbers.online, numbers.total)]
        if numbers.everyone is not None:
            parts.append(f"{numbers.everyone:,} online in all")
        if not numbers.trusted:
            parts.append("[red]presence unknown: no recent status.count[/red]")
        self._status.update(" · ".join(parts))


class JsonLines:
    """One JSON object a line, for scripts."""

    def __init__(self, *, user: str, write: Callable[[str], object]) -> None:
        self._user = user
        self._write = write

    def connected(self, numbers: Numbers) -> None:
        self._emit("connected", **asdict(numbers))

    def trouble(self, reason: str) -> None:
        self._emit("trouble", reason=reason)

    def change(self, change: Change, numbers: Numbers, now: float) -> None:
        optional = {"userId": change.user, "name": change.name, "lastSeen": change.last_seen}
        self._emit(
            change.kind.value,
            **{name: value for name, value in optional.items() if value},
            eventId=change.event_id,
            ts=microseconds(change.ts),
            latencyMs=_latency(change, now),
            online=change.online,
            total=numbers.total,
        )

    def numbers(self, numbers: Numbers) -> None:
        self._emit("numbers", **asdict(numbers))

    def _emit(self, kind: str, **members: Any) -> None:
        time = datetime.now().astimezone().isoformat(timespec="milliseconds")
        self._write(
            json.dumps({"kind": kind, "user": self._user, "time": time, **members}, ensure_ascii=False)
        )


def _latency(change: Change, now: float) -> int:
    """Milliseconds since the read of the graph for this event."""
    return round(now * 1000 - change.ts / 1000)


def _friends(online: int, total: int | None) -> str:
    return f"{online:,} of {total:,} friends online" if total is not None else f"{online:,} friends online"


def _clock(at: datetime) -> str:
    return at.strftime("%H:%M:%S.%f")[:12]
