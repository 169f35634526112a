"""The pure parts of the console: decaying counts, the merged snapshot, the verdict of `why`."""

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
from pubnub_bridge.observe.console.bridge_report import BridgeReport, TopUser
from pubnub_bridge.observe.console.report import grown, quantile, rates
from pubnub_bridge.observe.console.snapshot import (
    STAGES,
    StreamAges,
    SystemState,
    shards,
    snapshot,
    top_users,
)
from pubnub_bridge.observe.console.top_users import HALF_LIFE_SECONDS, MAX_USERS, TopUsers
from tests.support.serving import options, serving


def row(**more: Any) -> dict[str, Any]:
    """What the graph says of Ann and Ben."""
    usual = {
        "viewer_name": "Ann", "friend_name": "Ben", "friends": True, "viewer_blocked": False, "friend_blocked": False,
        "present": True, "invisible": False, "presence_at": 1000,
    }  # fmt: skip
    return usual | more


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, "Ann sees Ben online because Ben is settled online."),
        ({"friends": False}, "Ann sees Ben offline because they are not friends."),
        ({"friends": False, "friend_blocked": True}, "Ann sees Ben offline because Ben has blocked Ann."),
        ({"friends": False, "viewer_blocked": True}, "Ann sees Ben offline because Ann has blocked Ben."),
        ({"invisible": True}, "Ann sees Ben offline because Ben is online and chose to appear offline."),
        ({"present": False, "presence_at": 0}, "Ann sees Ben offline because Ben was never seen online."),
    ],
)
def test_verdict_is_one_sentence_that_says_who_sees_whom_and_why(
    facts: dict[str, Any], sentence: str
) -> None:
    """Where nothing is about to change it."""
    assert verdict(row(**facts), bool(row(**facts)["present"]), []) == sentence


def test_verdict_names_what_is_about_to_change() -> None:
    """A pending change, a difference from PubNub and an unreachable PubNub; nothing of it for users who are no friends."""
    pending = [PresenceEvent("ben", False, 2000, 1, "leave")]
    assert verdict(row(), False, pending).endswith("is not committed yet: offline is next.")
    assert "PubNub reports Ben absent" in verdict(row(), False, [])
    assert "PubNub does not respond" in verdict(row(), None, [])
    assert "PubNub" not in verdict(row(friends=False), False, pending)


def test_count_halves_after_a_half_life_and_a_steady_rate_is_reported_as_itself() -> None:
    """Six a minute for long is reported as six a minute; without more it is half after a half-life."""
    counts = TopUsers()
    for second in range(0, 3600 * 3, 10):
        counts.add([("ann", 1.0, 7)], float(second))
    now = 3600.0 * 3
    score = counts.top(1, now)[0]
    assert (score.user, score.note) == ("ann", 7)
    assert score.per_minute == pytest.approx(6.0, rel=0.05)
    assert counts.top(1, now + HALF_LIFE_SECONDS)[0].per_minute == pytest.approx(score.per_minute / 2)


def test_counts_stay_finite_for_weeks_and_bounded_for_millions_of_users() -> None:
    """The landmark moves; the lower half is dropped, the highest counts stay."""
    counts = TopUsers()
    for day in range(30):
        counts.add([("ann", 1.0, 0)], day * 86400.0)
    assert 0 < counts.top(1, 29 * 86400.0)[0].per_minute < 1
    for number in range(20 * MAX_USERS):
        counts.add([(f"u{number}", 1.0, 0), ("ann", 0.5, 0)], 29 * 86400.0)
    assert counts.top(1, 29 * 86400.0)[0].user == "ann"
    assert len(counts.top(10 * MAX_USERS, 29 * 86400.0)) <= 2 * MAX_USERS


def test_rates_cover_the_window_and_are_unknown_at_first() -> None:
    """Growth a second; one reading is not enough."""
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
    """Nothing was measured."""
    assert quantile({}, 0.5) is None
    assert quantile({"1.0": 0.0, "inf": 0.0}, 0.99) is None


def report(name: str, partitions: dict[str, list[float]], **more: Any) -> BridgeReport:
    """One bridge's report, as it is stored."""
    usual = {
        "name": name, "at": 100.0, "leads": False, "rates": {"heard": 2.0, "published": 30.0}, "delay": {}, "settle": {},
        "circuitOpen": False, "accuracy": None, "partitions": partitions, "flaps": [], "costly": [],
    }  # fmt: skip
    return BridgeReport.decode(usual | more)


def state(**more: Any) -> SystemState:
    """Two bridges with two of three partitions; the third has no owner."""
    usual: dict[str, Any] = {
        "reports": [
            report("a", {"0": [5, 7, 0.5, 0.0, 50]}, leads=True, accuracy=0.99, costly=[["ann", 90.0, 700]]),
            report("b", {"1": [1, 0, 0.0, 0.0, 20]}, flaps=[["ben", 3.0, 0], ["cat", 0.01, 0]]),
        ],
        "owners": ["a", "b", None], "log_lengths": [1, 2, 3], "inbox_lengths": [4, 0, 0], "dead_letters": [0, 1, 0],
        "ages": [StreamAges(log=0.2, inbox=0.1), StreamAges(), StreamAges(log=40.0)], "online": 70,
        "occupancy": [10, 20, 30, 0], "degraded_reason": "1 of 3 partitions have no bridge", "now": 101.0,
    }  # fmt: skip
    return SystemState(**(usual | more))


def test_snapshot_adds_up_all_bridges() -> None:
    """Rates are summed, partitions carry their owners, a partition without a bridge is named."""
    shown = snapshot(state(), consoles=2)
    stages = {one.name: one for one in shown.walk}
    assert [(one.row, one.name) for one in shown.walk] == [
        (1, "ingest"), (2, "debounce"), (3, "commit"), (4, "read"), (5, "enqueue"), (6, "batch"), (7, "publish"),
    ]  # fmt: skip
    assert (stages["ingest"].rate, stages["publish"].rate) == (4.0, 60.0)
    assert (stages["ingest"].waiting, stages["ingest"].lag, stages["enqueue"].waiting) == (6, 40.0, 4)
    assert (stages["debounce"].waiting, stages["batch"].waiting, stages["commit"].lag) == (6, 7, 0.5)
    assert stages["ingest"].trouble == "1 partitions have no bridge"
    assert stages["publish"].trouble == "1 dead letters"
    assert [one.owner for one in shown.partitions] == ["a", "b", None]
    assert [one.online for one in shown.partitions] == [50, 20, None]
    assert (shown.degraded, shown.figures.accuracy, shown.bridges[0].quiet) == (True, 0.99, 1.0)
    assert [one.user for one in shown.flap_leaders] == ["ben"]
    assert (shown.costly[0].user, shown.costly[0].friends) == ("ann", 700)


def problem(stage: str, **more: Any) -> str | None:
    """What the console says is wrong at a stage."""
    numbers = {one.name: number for number, one in enumerate(STAGES)}
    return snapshot(state(**more), consoles=1).walk[numbers[stage]].trouble


def test_an_open_circuit_is_the_first_problem_shown_of_publishing() -> None:
    """Even with dead letters."""
    opened = problem("publish", reports=[report("a", {}, circuitOpen=True)])
    assert opened == "circuit open: PubNub does not respond"


def test_a_storm_is_shown_as_the_problem_of_debouncing() -> None:
    """With its cause; of several the first, and how many more."""
    storm = "a storm: 400 of 4,000 left within 10 s"
    one, other = report("a", {}, storms=[storm]), report("b", {}, storms=[storm])
    assert problem("debounce", reports=[one]) == storm
    assert problem("debounce", reports=[one, other]) == f"{storm} (and 1 more)"


def test_of_several_problems_of_ingest_the_first_is_shown_and_the_others_counted() -> None:
    """Failing subscribe calls come before bodies that cannot be parsed, both before partitions without a bridge."""
    failing = report("a", {}, rates={"pollsFailed": 1.0, "unknown": 2.0})
    assert problem("ingest", reports=[failing]) == "subscribe calls fail (and 2 more)"


def test_snapshot_before_the_first_report_has_unknown_figures() -> None:
    """No bridge, no count, no occupancy: unknown, not an error."""
    shown = snapshot(state(reports=[], online=None, occupancy=[], owners=[None] * 3), consoles=1)
    assert all(one.rate is None for one in shown.walk)
    assert (shown.online, shown.shards.skew) == (None, None)


def test_many_shards_are_shown_as_sums_of_neighbours() -> None:
    """At most a thousand cells, no user lost; the skew is that of the shards themselves."""
    shown = shards([1] * 2999 + [4])
    assert len(shown.occupancy) <= 1000
    assert sum(shown.occupancy) == 3003
    assert shown.skew == pytest.approx(4 / (3003 / 3000), abs=0.01)


def test_a_user_whose_partition_moved_is_counted_once() -> None:
    """By the higher of both rates."""
    moved = [report("a", {}, flaps=[["ben", 3.0, 0]]), report("b", {}, flaps=[["ben", 5.0, 0]])]
    assert top_users(one.flapping for one in moved) == [TopUser(user="ben", per_minute=5.0, friends=0)]


async def test_console_routes_are_rate_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaked key cannot be used to read all users."""
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
