"""``make bench`` runs its parts one after the other and makes the page of what they wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from bench import __main__ as run_all
from bench.parts import PARTS, Part


def copying(file: str, source: Path) -> Part:
    """A part that writes what stands in `source`; it fails where nothing does."""
    return Part(file, file.capitalize(), f"make bench-{file}", "json.tool", written=str(source))


def test_a_part_that_fails_keeps_nothing_from_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' figures are on it, and the run as a whole is told to have failed."""
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"results": [{"what": "speed", "value": 12345}]}))
    parts = (
        copying("good", figures),
        copying("bad", tmp_path / "missing.json"),
        Part("apart", "Apart", "make x"),
    )
    monkeypatch.setattr(run_all, "PARTS", parts)
    with pytest.raises(typer.Exit):
        run_all.main(folder=tmp_path / "out")
    page = (tmp_path / "out" / "README.md").read_text()
    assert "## Good" in page
    assert "12,345" in page
    assert "## Bad" not in page
    run_all.main(only=["good"], folder=tmp_path / "out")


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """By telling which are."""
    with pytest.raises(typer.BadParameter, match="graph, "):
        run_all.main(only=["grpah"], folder=tmp_path)


def test_every_part_is_a_module_or_runs_apart() -> None:
    """And each file is written by one."""
    assert len({part.file for part in PARTS}) == len(PARTS)
    modules = {part.module.replace(".", "/") + ".py" for part in PARTS if part.module}
    assert all(Path(module).exists() for module in modules)
