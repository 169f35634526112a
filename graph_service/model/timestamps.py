"""The one ISO 8601 formatter: UTC, with ``Z``. Pure.

Text is composed of cached parts by day and by second of the hour, since formatting is half the time of a page of a
thousand friends.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS = [f"{hour:02}:" for hour in range(24)]
_IN_HOUR = [f"{second // 60:02}:{second % 60:02}" for second in range(3600)]
"""Minutes and seconds for every second of an hour."""


@functools.lru_cache(maxsize=2**14)
def _day(days: int) -> str:
    """A day since the epoch. The cache holds all days of 44 years: hours of a decade would not fit."""
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%dT")


def _text(at: int) -> str:
    """Seconds since the epoch as ISO 8601, without a zone."""
    days, second = divmod(at, 86400)
    return f"{_day(days)}{_HOURS[second // 3600]}{_IN_HOUR[second % 3600]}"


def microseconds(at: int) -> str:
    """Microseconds since the epoch as ISO 8601 UTC with six decimals."""
    return f"{_text(at // 1_000_000)}.{at % 1_000_000:06}Z"


def milliseconds(at: int) -> str | None:
    """Milliseconds since the epoch as ISO 8601 UTC with three decimals; None for 0, which is never."""
    return f"{_text(at // 1000)}.{at % 1000:03}Z" if at else None


def seconds(at: int) -> str | None:
    """Seconds since the epoch as ISO 8601 UTC; None for 0, which is unknown."""
    return f"{_text(at)}Z" if at else None


def parse_microseconds(stamp: str) -> int:
    """The reverse of `microseconds`, exact."""
    return (datetime.fromisoformat(stamp) - _EPOCH) // timedelta(microseconds=1)
