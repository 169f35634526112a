"""A population imported by another benchmark of the same run is copied, not imported again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness.loaded import POPULATIONS, load
from local_stack.data.generate import generate


async def test_a_cached_population_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by size, degrees and seed; the copy may be changed without changing the cache."""
    cached, mine = tmp_path / "cached", tmp_path / "mine"
    (cached / "30-5-9-7").mkdir(parents=True)
    (cached / "30-5-9-7" / "secrets.json").write_text("{}")
    mine.mkdir()
    monkeypatch.setenv(POPULATIONS, str(cached))
    data = await load(mine, generate(30, 5, 9, 7), 7)
    assert data.parent == mine
    (data / "secrets.json").write_text("changed")
    assert (cached / "30-5-9-7" / "secrets.json").read_text() == "{}"
