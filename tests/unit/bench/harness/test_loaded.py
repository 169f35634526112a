"""A population that another benchmark of the same run imported is copied, not imported again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness.loaded import KEPT, load
from local_stack.data.generate import generate


async def test_a_kept_population_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size, degrees and seed; the copy is the benchmark's own."""
    kept, mine = tmp_path / "kept", tmp_path / "mine"
    (kept / "30-5-9-7").mkdir(parents=True)
    (kept / "30-5-9-7" / "secrets.json").write_text("{}")
    mine.mkdir()
    monkeypatch.setenv(KEPT, str(kept))
    data = await load(mine, generate(30, 5, 9, 7), 7)
    assert data.parent == mine
    (data / "secrets.json").write_text("changed")
    assert (kept / "30-5-9-7" / "secrets.json").read_text() == "{}"
