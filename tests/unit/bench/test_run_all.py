"""``make bench`` runs its parts one after the other and writes the page from their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from bench import __main__ as run_all
from bench.parts import PARTS, Part


def copying(file: str, source: Path) -> Part:
    """A part that writes the content of `source`; it fails where there is no such file."""
    return Part(file, file.capitalize(), f"make bench-{file}", "json.tool", written=str(source))


def test_a_failed_part_does_not_prevent_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other parts' figures are on the page, and the exit code reports the failure."""
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


def test_an_unknown_part_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="graph, "):
        run_all.main(only=["grpah"], folder=tmp_path)


def test_every_part_has_its_own_file_and_an_existing_module() -> None:
    assert len({part.file for part in PARTS}) == len(PARTS)
    modules = {part.module.replace(".", "/") + ".py" for part in PARTS if part.module}
    assert all(Path(module).exists() for module in modules)
