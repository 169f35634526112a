"""The page of figures is up to date, and every missed budget is explained."""

from __future__ import annotations

import json
import tomllib

import pytest

from bench import report
from bench.budgets import BUDGETS, Budget, judge, rows
from bench.parts import FOLDER, PARTS

FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}


def test_the_page_is_generated_from_the_figures_next_to_it() -> None:
    """After a change: python -m bench.report."""
    assert (FOLDER / "README.md").read_text("utf-8") == report.page()


def test_every_budget_names_a_benchmark_that_exists() -> None:
    """And its key is unique."""
    assert {budget.file for budget in BUDGETS} <= {part.file for part in PARTS}
    assert len({budget.key for budget in BUDGETS}) == len(BUDGETS)


def test_every_missed_budget_has_a_note() -> None:
    """It says where the time goes and what was tried."""
    notes = tomllib.loads(report.NOTES.read_text("utf-8"))
    missed = {one.budget.key for one in judge(FILES) if one.verdict == "missed"}
    assert missed <= set(notes)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.key)
def test_a_budget_finds_its_figure_when_its_benchmark_was_run(budget: Budget) -> None:
    """A renamed row must not turn a missed budget into an unmeasured one."""
    figures = FILES.get(budget.file)
    if figures is None or not rows(figures):
        pytest.skip(f"{budget.file} was not run")
    assert budget.find(figures) is not None
