"""The two dated files are valid, and a wrong copy is rejected with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubnub_bridge.sizing import figures
from pubnub_bridge.sizing.figures import BadFigures


def test_prices_carry_their_date_and_source() -> None:
    """So that a reader knows how old they are."""
    prices = figures.prices()
    assert prices.date.year >= 2026
    assert prices.source.startswith("https://www.pubnub.com/")
    assert prices.transaction.edge == 0.000033


def test_unit_costs_name_the_run_they_come_from() -> None:
    """A benchmark's file in docs/benchmarks."""
    costs = figures.unit_costs()
    assert costs.source.startswith("docs/benchmarks/")
    assert costs.neo4j.friend + costs.neo4j.transition > 0


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("edge = 0.000033", "edge = -1", "transaction.edge"),
        ("signal = 0.000008", "", "transaction.signal"),
        ("unit_bytes = 2048", "unit_bytes = 2048\nmystery = 1", "transaction.mystery"),
        ("date = 2026", "date = #", "Invalid"),
    ],
)
def test_a_wrong_price_list_is_rejected_with_file_and_field(
    tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    """Never an incomplete bill."""
    text = figures.PRICES.read_text(encoding="utf-8")
    assert was in text
    file = tmp_path / "prices.toml"
    file.write_text(text.replace(was, becomes), encoding="utf-8")
    with pytest.raises(BadFigures, match=r"prices\.toml") as refused:
        figures.prices(file)
    assert message in str(refused.value)


def test_a_missing_price_list_is_rejected_with_its_name(tmp_path: Path) -> None:
    """Instead of a traceback."""
    with pytest.raises(BadFigures, match=r"nowhere\.toml"):
        figures.prices(tmp_path / "nowhere.toml")
