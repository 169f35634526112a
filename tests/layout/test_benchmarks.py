"""The page of figures says what the figures say, and nothing that was missed is left without a word."""

from __future__ import annotations

import json
import tomllib

import pytest

from bench import report
from bench.budgets import BUDGETS, Budget, judged, rows
from bench.parts import FOLDER, PARTS

FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}


def test_the_page_is_made_of_the_figures_beside_it() -> None:
    """After a figure changed: python -m bench.report."""
    assert (FOLDER / "README.md").read_text("utf-8") == report.made()


def test_every_budget_names_a_benchmark_that_exists() -> None:
    """And each is known by one key."""
    assert {budget.file for budget in BUDGETS} <= {part.file for part in PARTS}
    assert len({budget.key for budget in BUDGETS}) == len(BUDGETS)


def test_what_was_missed_is_looked_into() -> None:
    """The notes say where its time goes and what was tried."""
    notes = tomllib.loads(report.NOTES.read_text("utf-8"))
    missed = {one.budget.key for one in judged(FILES) if one.verdict == "missed"}
    assert missed <= set(notes)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.key)
def test_a_budget_finds_its_figure_where_the_file_is_there(budget: Budget) -> None:
    """A renamed row must not turn a missed budget into one that was never measured."""
    figures = FILES.get(budget.file)
    if figures is None or not rows(figures):
        pytest.skip(f"{budget.file} was not run")
    assert budget.find(figures) is not None
