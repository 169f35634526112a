"""The leak detection of the soak test."""

from __future__ import annotations

from typing import Any

import pytest

from bench.charts import lines
from bench.harness import flat


def samples(rss: list[float], sockets: list[float]) -> list[dict[str, Any]]:
    """One process, one sample a minute."""
    return [
        {
            "at": 60.0 * number,
            "processes": {"service": {"rss": r, "sockets": s, "files": s + 5, "threads": 3, "cpu": number}},
        }
        for number, (r, s) in enumerate(zip(rss, sockets, strict=True))
    ]


def trend(found: list[flat.Trend], measure: str) -> flat.Trend:
    """The trend of one measure."""
    return next(one for one in found if one.measure == measure)


def test_growth_before_the_end_of_the_warm_up_is_not_a_leak() -> None:
    """Pools and caches fill up."""
    rss = [float(min(50 + 10 * number, 150)) for number in range(61)]
    found = trend(flat.judge(samples(rss, [20.0] * 61)), "rss")
    assert (found.slope, found.usual, found.flat) == (0.0, 150.0, True)


def test_a_leak_of_ten_mebibytes_an_hour_in_a_hundred_is_found() -> None:
    """The bound is 6."""
    found = trend(flat.judge(samples([100 + number / 6 for number in range(61)], [20.0] * 61)), "rss")
    assert found.slope == pytest.approx(10.0)
    assert found.bound == 6.0
    assert not found.flat


def test_a_socket_leaked_each_minute_is_found_and_random_churn_is_not() -> None:
    """60 an hour are a leak; up and down by four is not."""
    leaks = trend(flat.judge(samples([100.0] * 61, [20.0 + number for number in range(61)])), "sockets")
    assert not leaks.flat
    crowd = trend(
        flat.judge(samples([100.0] * 61, [20.0 + 4 * (number % 2) for number in range(61)])), "sockets"
    )
    assert crowd.flat


def test_what_shrinks_is_flat() -> None:
    """Garbage collection returned memory."""
    assert trend(flat.judge(samples([200.0 - number for number in range(61)], [20.0] * 61)), "rss").flat


def test_a_run_that_is_too_short_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="too few"):
        flat.judge(samples([1.0] * 4, [1.0] * 4))


def test_a_chart_has_a_line_for_every_process_and_stays_inside() -> None:
    """The highest point is below the title of its panel."""
    drawn = lines.panels("a & b", "minutes", [("MiB", {"one": [(0, 0), (10, 5)], "two": [(0, 9), (10, 9)]})])
    assert drawn.count("<polyline") == 2
    assert "a &amp; b" in drawn
    heights = [
        float(y)
        for part in drawn.split('points="')[1:]
        for x, y in [p.split(",") for p in part.split('"')[0].split()]
    ]
    assert min(heights) >= lines.TOP
    assert max(heights) <= lines.TOP + lines.PANEL
