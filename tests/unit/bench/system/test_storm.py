"""The storm benchmark's own judgement: who sees what is right, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.system import storm
from bench.system.storm_scene import Eyes, Figures, town


def row(what: str, mode: bool, right_s: float, hold_s: float = 0.0) -> dict[str, Any]:
    """One row of the figures."""
    figures = Figures(what, 810, 90, right_s=right_s, hold_s=hold_s)
    return {"online": 900, "stormMode": mode, "asideSeconds": round(figures.aside_s, 2)} | asdict(figures)


def test_a_view_is_right_from_the_moment_it_stays_so() -> None:
    """Wrong in between, it is right only afterwards; a new client knows nobody."""
    eyes = Eyes({})
    eyes.expect({1: {2}, 3: set()}, 10.0)
    assert eyes.wrong == 1
    for at, online in ((11.0, True), (12.0, False), (13.0, True)):
        view = eyes.view_of(1)
        assert view is not None
        view.apply(2, online, f"{at}")
        eyes.judge(1, at)
    assert (eyes.wrong, eyes.all_right_at) == (0, 13.0)
    eyes.fresh(1)
    eyes.judge(1, 14.0)
    assert eyes.wrong == 1


def test_who_is_not_judged_keeps_the_view() -> None:
    """What somebody heard while away is not counted, and not forgotten."""
    eyes = Eyes({})
    eyes.expect({1: set()}, 1.0)
    view = eyes.view_of(2)
    assert view is not None
    view.apply(1, True, "1")
    eyes.judge(2, 2.0)
    assert eyes.wrong == 0
    eyes.expect({2: {1}}, 3.0)
    assert (eyes.wrong, eyes.all_right_at) == (0, 3.0)


def test_only_friends_who_are_online_are_kept_of_a_town() -> None:
    """Both ways, and as many are online as asked for."""
    made = town(300, 0.3, 1)
    assert len(made.online) == 90
    here = set(made.online)
    assert all(friends <= here for friends in made.of)
    assert all(one in made.of[other] for one in here for other in made.of[one])
    assert len(made.population().ids) == 300


def test_hold_and_window_are_set_aside_and_the_peers_stand_beside_the_scene_that_is_theirs(
    tmp_path: Path,
) -> None:
    """Table, chart and file from the same rows; the budget is judged by the slower of both modes."""
    rows = [row("drop, back at once", True, 1.2), row("drop, back at once", False, 3.4)]
    rows.append(row("leave for good", True, 34.0, 30.0))
    assert rows[-1]["asideSeconds"] == 4.0
    console = Console(width=250, record=True, file=Path("/dev/null").open("w", encoding="utf-8"))  # noqa: SIM115
    console.print(storm.table(rows))
    assert "30 + 0" in console.export_text()
    storm.write(tmp_path / "storm.json", rows, {"cores": 2}, 200.0, 1)
    kept = json.loads((tmp_path / "storm.json").read_text("utf-8"))
    assert (kept["withinBudget"], kept["peersSeconds"]["ejabberd"]) == (False, 17.7)
    assert "ejabberd" in (tmp_path / "storm.svg").read_text("utf-8")
