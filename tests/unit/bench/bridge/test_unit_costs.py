"""Unit costs fitted to a run predict that run, and a wrong prediction is reported."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.bridge import check_sizing
from bench.bridge.check_sizing import Pair, compared
from bench.bridge.unit_costs import as_toml, fitted, unit_costs
from pubnub_bridge.sizing.figures import UnitCosts
from pubnub_bridge.sizing.load import load, messages

USERS, FRIENDS = 10_000, 200


def made_up(transition: float = 1.0, role: str = "calibrate") -> dict[str, Any]:
    """A run whose costs are known: 2 ms a second, 1 ms a change, 3 µs a delivery, 50 µs a publish."""
    steady = []
    for friends, window, rate in (
        (200, 0.0, 0.0),
        (200, 0.0, 20.0),
        (200, 5.0, 50.0),
        (600, 1.0, 50.0),
        (600, 3.0, 90.0),
    ):
        product = check_sizing._product(USERS, friends, rate or 1.0, window)
        rates = load(product)
        published = messages(rates, window).publishes
        deliveries = rates.deliveries if rate else 0.0
        bridge = 2.0 + (transition * rate + 0.003 * deliveries + 0.05 * published if rate else 0.0)
        steady.append(
            {
                "role": role,
                "group": "made up",
                "people": USERS,
                "friends": float(friends),
                "window": window,
                "transitions": rate,
                "deliveries": deliveries,
                "publishes": published + rate if rate else 0.0,
                "cpu": {"bridge": bridge, "Neo4j": 20.0 + 0.5 * rate, "Valkey": 1.0 + 0.1 * rate},
            }
        )
    return {
        "date": "2026-11-24T10:00:00Z",
        "machine": {"cores": 2, "processor": "made up"},
        "steady": steady,
        "weights": [weighed() | {"role": role}],
    }


def weighed() -> dict[str, Any]:
    """Sizes in memory and on disk."""
    return {
        "people": USERS,
        "friendships": USERS * FRIENDS // 2,
        "storeBytes": 1_000_000 + USERS * FRIENDS // 2 * 75 + USERS * 179,
        "holdBytesAUser": 130.0,
        "valkeyEmptyBytes": 1_000_000,
        "changes": 100,
        "seenBytes": 80_000,
        "notices": 10,
        "inboxBytes": 210.0,
        "inboxText": 200.0,
        "whyUsers": 10,
        "whyBytes": 16_000,
        "bridgeMiB": 136.0,
    }


def test_known_costs_are_found_again() -> None:
    """From the sums that they add up to."""
    costs = unit_costs(made_up(), "docs/benchmarks/sizing.json")
    assert costs["bridge"]["second"] == pytest.approx(2)
    assert costs["bridge"]["transition"] == pytest.approx(1, rel=0.01)
    assert costs["bridge"]["delivery"] == pytest.approx(0.003, rel=0.01)
    assert costs["bridge"]["publish"] == pytest.approx(0.05, rel=0.01)
    assert costs["bytes"]["store"] == pytest.approx(1_000_000)


def test_no_factor_is_below_zero() -> None:
    """A cost that would be negative is left out, and the others are fitted again."""
    first, second = fitted([[1, 1], [1, 2], [1, 4]], [3, 2, 1])
    assert second == 0
    assert 1 <= first <= 3


def test_the_file_that_is_written_is_read_as_unit_costs() -> None:
    """Without missing or additional fields."""
    text = as_toml(unit_costs(made_up(), "docs/benchmarks/sizing.json"))
    costs = UnitCosts.model_validate(tomllib.loads(text))
    assert str(costs.date) == "2026-11-24"
    assert costs.bytes.friendship == 75


def test_a_cost_of_some_nanoseconds_is_not_written_as_zero() -> None:
    """Four significant digits for any size."""
    costs = unit_costs(made_up(), "x")
    costs["valkey"]["delivery"] = 0.00002
    assert tomllib.loads(as_toml(costs))["valkey"]["delivery"] == pytest.approx(0.00002)


def test_fitted_costs_predict_their_run_and_not_a_more_expensive_one() -> None:
    """A change that costs three times as much shows in the error."""
    costs = UnitCosts.model_validate(tomllib.loads(as_toml(unit_costs(made_up(), "x"))))
    own = [
        one
        for one in compared("own", made_up(role="check"), costs)
        if one.what.startswith(("CPU", "publishes"))
    ]
    assert own
    assert max(abs(one.error) for one in own) < 0.02
    other = [
        one
        for one in compared("other", made_up(transition=3.0, role="check"), costs)
        if "CPU of bridge" in one.what
    ]
    assert any(not one.within for one in other)


@pytest.mark.parametrize(
    ("predicted", "within"), [(80.0, True), (79.0, False), (120.0, True), (121.0, False)]
)
def test_an_error_of_a_fifth_is_the_limit(predicted: float, within: bool) -> None:
    """In both directions."""
    assert Pair("file", "what", predicted, 100.0, "1/s").within is within


@pytest.mark.parametrize(("friends_notified", "code"), [(225.0, 0), (349.0, 1)])
def test_the_exit_code_reports_a_wrong_prediction(tmp_path: Path, friends_notified: float, code: int) -> None:
    """With the file of a benchmark."""
    file = tmp_path / "bridge.json"
    results = [
        {"what": "changes a second, everything on this machine, window 0 s", "value": 100.0},
        {"what": "deliveries a second, window 0 s", "value": 100.0 * friends_notified},
    ]
    file.write_text(json.dumps({"population": {"people": 20_000, "friends": "500-1000"}, "results": results}))
    app = check_sizing.typer.Typer()
    app.command()(check_sizing.main)
    shown = CliRunner().invoke(app, [str(file)])
    assert shown.exit_code == code
    assert "deliveries of a change" in shown.output


@pytest.mark.parametrize(
    ("rate", "dead", "wanted"), [(5.0, 100.0, 1.0), (0.1, 100.0, 0.393), (5.0, 0.0, 25.0)]
)
def test_a_short_load_begins_as_many_messages_as_it_has_time_for(
    rate: float, dead: float, wanted: float
) -> None:
    """In five seconds: one if the first is never sent, less than one at a low rate, and one for each event without a wait."""
    assert check_sizing.messages_begun(rate, dead, 5.0) == pytest.approx(wanted, rel=0.01)


def test_a_long_load_reaches_the_steady_rate() -> None:
    """One message in each window and wait."""
    begun = check_sizing.messages_begun(2.0, 1.0, 600.0)
    assert begun / 600 == pytest.approx(1 / (1 + 1 / 2), rel=0.01)
