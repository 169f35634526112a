"""The pages about peers are generated from the measured figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.peers import show

FIGURES = Path("docs/benchmarks/peers.json")


@pytest.mark.skipif(not FIGURES.exists(), reason="make bench-peers was not run")
def test_the_pages_are_generated_from_the_figures() -> None:
    """Both are written by the run, so no figure is edited by hand."""
    document = json.loads(FIGURES.read_text("utf-8"))
    comparison = Path("docs/comparison.md").read_text("utf-8")
    assert show.compared(comparison, document["parts"]) == comparison
    assert show.page(document) == FIGURES.with_suffix(".md").read_text("utf-8")
