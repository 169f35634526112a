"""A rate is sustained when it was reached in time; the estimate uses the costs of the highest sustained rate."""

from __future__ import annotations

from dataclasses import replace

from bench.harness.crowd import Freshness
from bench.harness.steps import ADAPTIVE, FIXED, Step, best, drawing, full_load, results


def step(
    window: str = FIXED,
    rate: float = 100.0,
    done: float = 100.0,
    notified: float = 50.0,
    beyond: float = 50.0,
) -> Step:
    """A rate with 4 CPU milliseconds of the servers for 1,000 deliveries, and 10 of the origin."""
    return Step(
        window=window,
        wanted=rate,
        transitions=done,
        failed=0,
        deliveries=done * 225,
        publishes=done,
        notified=Freshness(1.0, notified, notified),
        beyond=Freshness(1.0, beyond, beyond),
        acted=None,
        connect_p50=None,
        connect_p99=None,
        cpu={"Neo4j": 2.0, "Valkey": 0.5, "friends-presence": 1.5, "origin": 10.0},
        cores={"Neo4j": 0.1},
    )


def test_a_rate_is_sustained_when_it_is_reached_and_notified_in_time() -> None:
    """A fixed window is subtracted; an adaptive one is not."""
    assert step(notified=1500.0, beyond=500.0).sustained
    assert not step(ADAPTIVE, notified=1500.0, beyond=500.0).sustained
    assert not step(done=90.0).sustained
    assert not step(done=0.0, rate=0.0).sustained
    assert replace(step(done=90.0), begun=91.0).sustained, "no more were due"
    assert not replace(step(done=90.0), begun=105.0).sustained


def test_the_origin_is_not_counted_as_a_server() -> None:
    """It is PubNub's part."""
    assert step().servers == 4.0


def test_the_highest_sustained_rate_counts() -> None:
    """And not a higher one that was not sustained."""
    steps = [step(rate=100.0), step(rate=200.0, done=200.0), step(rate=400.0, done=300.0)]
    found = best(steps, FIXED)
    assert found is not None
    assert found.wanted == 200.0
    assert best(steps, ADAPTIVE) is None
    assert full_load(steps)[2].value == 556 * 225 / 1e6 * 2.0
    assert full_load([step(done=0.0)]) == []


def test_results_carry_their_budgets() -> None:
    """Without a sustained rate the row is zero and not missing."""
    rows = {row["what"]: row for row in results([step(done=0.0)], sink=True)}
    sustained = rows["transitions/s sustained, publishes into a sink, window 1 s"]
    assert (sustained["value"], sustained["budget"]) == (0.0, ">= 800")
    rows = {row["what"]: row for row in results([step()], sink=False)}
    assert (
        rows["CPU of all servers but the origin, everything on this machine, window 1 s"]["budget"] == "<= 8"
    )


def test_the_chart_has_a_bar_for_each_percentile() -> None:
    """Also for ages below a millisecond."""
    assert drawing([step(beyond=0.0), step(ADAPTIVE)], "Ages").count('font-size="10">1<') >= 2
