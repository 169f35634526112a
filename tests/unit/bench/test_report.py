"""The page of figures judges budgets by measurements and shows every file."""

from __future__ import annotations

from bench.budgets import BUDGETS, judge
from bench.report import anchor, number, of_rows, readme

NOTES = {"opening": "How to read this.", "memory": "Where the bytes are."}
BRIDGE = {
    "command": "python -m bench.bridge.pipeline",
    "machine": {"cores": 2, "processor": "a chip", "loadBefore": 0.25},
    "results": [
        {"what": "memory of a user online", "value": 500.0, "unit": "bytes", "budget": "<= 400"},
        {
            "what": "notification to acknowledged publish, window 0 s",
            "value": 90000.0,
            "unit": "recipients/s",
            "budget": "",
        },
    ],
}


def test_a_budget_is_met_or_missed_or_not_measured() -> None:
    """A budget without a figure is never met."""
    verdicts = {one.budget.key: one.verdict for one in judge({"bridge": BRIDGE})}
    assert verdicts["memory"] == "missed"
    assert verdicts["acked"] == "met"
    assert set(verdicts.values()) == {"missed", "met", "not measured"}
    assert all(one.verdict == "not measured" for one in judge({}))
    assert len(verdicts) == len(BUDGETS)


def test_a_missed_budget_is_followed_by_its_note_or_by_not_investigated() -> None:
    assert "Where the bytes are." in readme({"bridge": BRIDGE}, [], NOTES)
    assert "not investigated yet" in readme({"bridge": BRIDGE}, [], {"opening": ""})


def test_files_that_are_not_in_the_catalogue_come_last() -> None:
    """Each part shows its machine and its chart."""
    page = readme(
        {"bridge": BRIDGE, "brand-new": {"results": [{"what": "x", "value": 1}]}}, ["bridge.svg"], NOTES
    )
    assert page.index("## The bridge against a stub") < page.index("## Brand-new")
    assert "2 cores a chip, load before 0.2" in page
    assert "![The bridge against a stub](bridge.svg)" in page


def test_a_table_leaves_out_columns_without_values() -> None:
    """Of timings only the percentiles are shown."""
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


def test_numbers_have_four_digits_and_texts_are_unchanged() -> None:
    figures = (True, 12345, 0.012345, "ten", None)
    assert [number(one) for one in figures] == ["yes", "12,345", "0.01235", "ten", ""]


def test_a_part_is_linked_by_the_fragment_of_its_heading() -> None:
    assert anchor("graph") == "graph-queries-compared-with-postgresql"
