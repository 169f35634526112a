"""Every rule of the pipeline, taken out of the running code, is missed by a tape that is harmless with it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.live import mutated
from tests.mutants.model import ROOT, Mutant
from tests.simulation.known_tapes import TAPES
from tests.simulation.test_simulation import BACK, DROP, THERE, announced_gone
from tests.simulation.world import simulate

BACKED_BY = {"taken is not settled": "flap that flipped the flag is silent"}
"""Rules that another one makes up for: the fault shows where both are out, and not where only the other one is."""


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda one: one.name)
def test_a_mutant_still_applies(mutant: Mutant) -> None:
    """Its text stands exactly once in its file, its sentence says what breaks, and its test files exist."""
    assert mutant.applied(mutant.source()) != mutant.source()
    assert mutant.breaks.endswith(".")
    assert all((ROOT / name).exists() for name in mutant.tests)


@pytest.mark.parametrize("name", TAPES)
def test_a_rule_that_is_taken_out_is_missed(name: str) -> None:
    """The same tape is harmful without the rule; test_known_tapes shows that it is harmless with it."""
    with ExitStack() as stack:
        if name in BACKED_BY:
            stack.enter_context(mutated(MUTANTS[BACKED_BY[name]]))
            assert simulate(TAPES[name]) == []
        stack.enter_context(mutated(MUTANTS[name]))
        assert simulate(TAPES[name])


def test_a_storm_that_moves_no_deadline_is_missed() -> None:
    """Who drops and returns within the storm's debounce time is announced as gone all the same; at the end all is right."""
    steps = [("storm mode", 0), *THERE, *DROP, *BACK, *[("a debounce", 0)] * 4]
    with mutated(MUTANTS["storm moves no deadline"]):
        assert announced_gone(steps)
    assert not announced_gone(steps)


def test_after_a_mutant_the_code_is_the_old_one() -> None:
    """Else the tests after it would say nothing."""
    name = next(iter(TAPES))
    with mutated(MUTANTS[name]):
        pass
    assert simulate(TAPES[name]) == []
