"""Tapes that break a bridge with one rule taken out: the bridge as it is withstands each of them."""

from __future__ import annotations

import pytest

from tests.simulation.known_tapes import TAPES
from tests.simulation.world import simulate


@pytest.mark.parametrize("name", TAPES)
def test_a_known_tape_is_harmless(name: str) -> None:
    """Named by the mutant that it breaks."""
    assert simulate(TAPES[name]) == []
