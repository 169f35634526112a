"""What the console is made of, as far as it is pure: counts that fade, the merged picture, the verdict of a look."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from graph_service.api.authentication import CONSOLE
from graph_service.api.routing import TypedRoutes
from pubnub_bridge.api.explain import verdict
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.observe.console.report import grown, quantile, rates
from pubnub_bridge.observe.console.snapshot import Read, leaders, shards, snapshot
from pubnub_bridge.observe.console.top_users import HALF_LIFE_SECONDS, MAX_USERS, TopUsers
from tests.support.serving import options, serving


def row(**more: Any) -> dict[str, Any]:
    """How Ann and Ben stand."""
    usual = {
        "viewer_name": "Ann", "friend_name": "Ben", "friends": True, "viewer_blocked": False, "friend_blocked": False,
        "present": True, "invisible": False, "presence_at": 1000,
    }  # fmt: skip
    return usual | more


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "Ann sees Ben online because Ben is settled online."),
        ({"friends": False}, "Ann sees Ben offline because they are not friends."),
        ({"friends": False, "friend_blocked": True}, "Ann sees Ben offline because Ben has blocked Ann."),
        ({"friends": False, "viewer_blocked": True}, "Ann sees Ben offline because Ann has blocked Ben."),
        ({"invisible": True}, "Ann sees Ben offline because Ben is online and chose to appear offline."),
        ({"present": False, "presence_at": 0}, "Ann sees Ben offline because Ben was never seen online."),
    ],
)
def test_the_verdict_says_who_sees_whom_how_and_why(facts: dict[str, Any], said: str) -> None:
    """In one sentence, where nothing is about to change it."""
    assert verdict(row(**facts), bool(row(**facts)["present"]), []) == said


def test_the_verdict_tells_what_is_about_to_change() -> None:
    """A held change, a doubt and a silent PubNub are each said; a stranger's state is not."""
    held = [PresenceEvent("ben", False, 2000, 1, "leave")]
    assert verdict(row(), False, held).endswith("waits for its hold or for the graph: offline is next.")
    assert "PubNub says absent now" in verdict(row(), False, [])
    assert "PubNub does not answer" in verdict(row(), None, [])
    assert "PubNub" not in verdict(row(friends=False), False, held)


def test_a_count_halves_and_a_steady_rate_is_told_as_itself() -> None:
    """Six a minute for long is told as six a minute; nothing more for a half-life, and it is half."""
    counts = TopUsers()
    for second in range(0, 3600 * 3, 10):
        counts.add([("ann", 1.0, 7)], float(second))
    now = 3600.0 * 3
    standing = counts.top(1, now)[0]
    assert (standing.user, standing.note) == ("ann", 7)
    assert standing.per_minute == pytest.approx(6.0, rel=0.05)
    assert counts.top(1, now + HALF_LIFE_SECONDS)[0].per_minute == pytest.approx(standing.per_minute / 2)


def test_counts_stay_finite_for_weeks_and_few_for_millions() -> None:
    """The landmark moves; the lower half is forgotten, who stands out stays."""
    counts = TopUsers()
    for day in range(30):
        counts.add([("ann", 1.0, 0)], day * 86400.0)
    assert 0 < counts.top(1, 29 * 86400.0)[0].per_minute < 1
    for number in range(20 * MAX_USERS):
        counts.add([(f"u{number}", 1.0, 0), ("ann", 0.5, 0)], 29 * 86400.0)
    assert counts.top(1, 29 * 86400.0)[0].user == "ann"
    assert len(counts.top(10 * MAX_USERS, 29 * 86400.0)) <= 2 * MAX_USERS


def test_rates_are_of_the_window_and_unknown_at_first() -> None:
    """Growth by seconds; one reading says nothing."""
    past = [(0.0, {"heard": 10.0, "delay.1.0": 3.0}), (10.0, {"heard": 60.0, "delay.1.0": 7.0})]
    assert rates(past[:1]) == {}
    assert rates(past) == {"heard": 5.0}
    assert grown(past, "delay.") == {"1.0": 4.0}


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=50))
def test_a_quantile_lies_in_the_bucket_of_the_value(values: list[float]) -> None:
    """Never outside what its bucket allows."""
    ends = [0.1, 0.5, 1.0, 2.0, float("inf")]
    buckets = {str(end): float(sum(value <= end for value in values)) for end in ends}
    middle = sorted(values)[(len(values) - 1) // 2]
    low = max([0.0, *(end for end in ends if end < middle)])
    high = min(end for end in ends if end >= middle)
    found = quantile(buckets, 0.5)
    assert found is not None
    assert low - 1e-9 <= found <= high + 1e-9


def test_a_histogram_without_growth_has_no_quantile() -> None:
    """Nothing happened, so nothing took any time."""
    assert quantile({}, 0.5) is None
    assert quantile({"1.0": 0.0, "inf": 0.0}, 0.99) is None


def report(name: str, partitions: dict[str, list[float]], **more: Any) -> dict[str, Any]:
    """One bridge's report."""
    usual = {
        "name": name, "at": 100.0, "leads": False, "rates": {"heard": 2.0, "published": 30.0}, "delay": {}, "settle": {},
        "circuitOpen": False, "accuracy": None, "partitions": partitions, "flaps": [], "costly": [],
    }  # fmt: skip
    return usual | more


def read(**more: Any) -> Read:
    """Two bridges with two of three partitions; nobody has the third."""
    usual: dict[str, Any] = {
        "reports": [
            report("a", {"0": [5, 7, 0.5, 0.0, 50]}, leads=True, accuracy=0.99, costly=[["ann", 90.0, 700]]),
            report("b", {"1": [1, 0, 0.0, 0.0, 20]}, flaps=[["ben", 3.0, 0], ["cat", 0.01, 0]]),
        ],
        "owners": ["a", "b", None], "seen": [1, 2, 3], "inbox": [4, 0, 0], "dead": [0, 1, 0],
        "oldest": [(0.2, 0.1), (0.0, 0.0), (40.0, 0.0)], "online": 70, "occupancy": [10, 20, 30, 0],
        "late": "1 of 3 partitions have no bridge", "now": 101.0,
    }  # fmt: skip
    return Read(**(usual | more))


def test_the_picture_adds_up_all_bridges() -> None:
    """Rates are summed, partitions stand with their owners, an orphan is named."""
    shown = snapshot(read(), consoles=2)
    walk = {one.name: one for one in shown.walk}
    assert [one.row for one in shown.walk] == list(range(1, 11))
    assert (walk["receive"].rate, walk["publish"].rate) == (4.0, 60.0)
    assert (walk["log"].waiting, walk["log"].lag, walk["inbox"].waiting) == (6, 40.0, 4)
    assert (walk["hold"].waiting, walk["coalesce"].waiting, walk["settle"].lag) == (6, 7, 0.5)
    assert walk["log"].trouble == "1 partitions have no bridge"
    assert walk["publish"].trouble == "1 dead letters"
    assert [one.owner for one in shown.partitions] == ["a", "b", None]
    assert [one.online for one in shown.partitions] == [50, 20, None]
    assert (shown.degraded, shown.figures.accuracy, shown.bridges[0].quiet) == (True, 0.99, 1.0)
    assert [one.user for one in shown.flap_leaders] == ["ben"]
    assert (shown.costly[0].user, shown.costly[0].friends) == ("ann", 700)


def test_an_open_circuit_is_the_first_thing_said_of_publishing() -> None:
    """Even with dead letters."""
    walk = snapshot(read(reports=[report("a", {}, circuitOpen=True)]), 1).walk
    assert walk[-1].trouble == "stopped until the origin answers"


def test_a_storm_is_the_trouble_of_the_hold() -> None:
    """With what began it; of several the first, and how many more."""
    told = "a storm: 400 of 4,000 left within 10 s"
    walk = snapshot(read(reports=[report("a", {}, storms=[told])]), 1).walk
    assert walk[3].trouble == told
    walk = snapshot(read(reports=[report("a", {}, storms=[told]), report("b", {}, storms=[told])]), 1).walk
    assert walk[3].trouble == f"{told} (and 1 more)"


def test_a_picture_before_the_first_report_is_a_picture() -> None:
    """No bridge, no count, no occupancy: unknown, not an error."""
    shown = snapshot(read(reports=[], online=None, occupancy=[], owners=[None] * 3), 1)
    assert all(one.rate is None for one in shown.walk)
    assert (shown.online, shown.shards.skew) == (None, None)


def test_many_shards_are_shown_as_sums_of_neighbours() -> None:
    """At most a thousand cells, nobody lost; the skew is that of the shards themselves."""
    shown = shards([1] * 2999 + [4])
    assert len(shown.occupancy) <= 1000
    assert sum(shown.occupancy) == 3003
    assert shown.skew == pytest.approx(4 / (3003 / 3000), abs=0.01)


def test_a_user_whose_partition_moved_stands_once() -> None:
    """By the higher of both counts."""
    moved = [report("a", {}, flaps=[["ben", 3.0, 0]]), report("b", {}, flaps=[["ben", 5.0, 0]])]
    assert leaders(moved, "flaps") == [("ben", 5.0, 0)]


async def test_the_console_is_rate_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that leaked cannot be used to read everybody."""
    more = TypedRoutes("console")

    @more.get("/v1/console/thing", auth=CONSOLE, summary="For the console")
    async def thing(request: web.Request) -> dict[str, bool]:
        return {"seen": True}

    key = {"X-Console-Key": "c" * 32}
    monkeypatch.setattr("graph_service.api.rate_limits.RATE_LIMIT_CONSOLE", "2/minute")
    async with serving(options(console_key="c" * 32), object(), [more]) as api:
        for _ in range(2):
            assert (await api.call("GET", "/v1/console/thing", headers=key))[0] == 200
        assert await api.code("GET", "/v1/console/thing", headers=key) == (429, "rate_limited")
