"""The page of figures: budgets are judged by what was measured, and nothing measured is left out."""

from __future__ import annotations

from bench.budgets import BUDGETS, judged
from bench.report import anchor, number, of_rows, readme

NOTES = {"opening": "How to read this.", "memory": "Where the bytes are."}
BRIDGE = {
    "command": "python -m bench.bridge.pipeline",
    "machine": {"cores": 2, "processor": "a chip", "loadBefore": 0.25},
    "results": [
        {"what": "memory of a user online", "value": 500.0, "unit": "bytes", "budget": "<= 400"},
        {"what": "news to acked publish, window 0 s", "value": 90000.0, "unit": "recipients/s", "budget": ""},
    ],
}


def test_a_budget_is_kept_or_missed_or_not_measured() -> None:
    """Without a figure none is kept."""
    verdicts = {one.budget.key: one.verdict for one in judged({"bridge": BRIDGE})}
    assert verdicts["memory"] == "missed"
    assert verdicts["acked"] == "kept"
    assert set(verdicts.values()) == {"missed", "kept", "not measured"}
    assert all(one.verdict == "not measured" for one in judged({}))
    assert len(verdicts) == len(BUDGETS)


def test_what_was_missed_is_followed_by_where_it_goes() -> None:
    """Or by saying that nobody looked."""
    assert "Where the bytes are." in readme({"bridge": BRIDGE}, [], NOTES)
    assert "not looked into yet" in readme({"bridge": BRIDGE}, [], {"opening": ""})


def test_figures_that_nobody_gave_a_place_come_last() -> None:
    """With their machine, and the chart beside them."""
    page = readme(
        {"bridge": BRIDGE, "brand-new": {"results": [{"what": "x", "value": 1}]}}, ["bridge.svg"], NOTES
    )
    assert page.index("## The bridge against a stub") < page.index("## Brand-new")
    assert "2 cores a chip, load before 0.2" in page
    assert "![The bridge against a stub](bridge.svg)" in page


def test_a_table_shows_what_differs_and_leaves_out_what_nothing_has() -> None:
    """Timings are shown by their percentiles."""
    rows = [
        {"question": "a|b", "budget": "", "Neo4j": {"calls": 9, "p50": 1.23456, "p99": 1234.5}},
        {"question": "c", "budget": "", "Neo4j": {"calls": 9, "p50": 2.0, "p99": 3.0}},
    ]
    assert of_rows(rows).splitlines() == [
        "| question | Neo4j p50 | Neo4j p99 |",
        "|---|---|---|",
        "| a\\|b | 1.235 | 1,234 |",
        "| c | 2 | 3 |",
    ]


def test_numbers_are_short_and_words_are_left() -> None:
    """Four digits, thousands apart."""
    figures = (True, 12345, 0.012345, "ten", None)
    assert [number(one) for one in figures] == ["yes", "12,345", "0.01235", "ten", ""]


def test_a_part_is_linked_by_its_heading() -> None:
    """As GitHub names it."""
    assert anchor("graph") == "the-graphs-questions-beside-postgresql"
