"""The storm benchmark: when views are right, and how figures are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.system import storm
from bench.system.storm_scene import Figures, SceneViews, town


def row(what: str, mode: bool, right_s: float, debounce_s: float = 0.0) -> dict[str, Any]:
    """One row of the figures."""
    figures = Figures(what, 810, 90, right_s=right_s, debounce_s=debounce_s)
    return {"online": 900, "stormMode": mode, "asideSeconds": round(figures.aside_s, 2)} | figures.row()


def test_a_view_is_right_from_the_time_it_stays_right() -> None:
    """A view that is wrong in between is right only afterwards; a new client has an empty view."""
    views = SceneViews({})
    views.expect({1: {2}, 3: set()}, 10.0)
    assert views.wrong == 1
    for at, online in ((11.0, True), (12.0, False), (13.0, True)):
        view = views.view_of(1)
        assert view is not None
        view.apply(2, online, f"{at}")
        views.judge(1, at)
    assert (views.wrong, views.all_right_at) == (0, 13.0)
    views.fresh(1)
    views.judge(1, 14.0)
    assert views.wrong == 1


def test_a_user_who_is_not_judged_keeps_the_view() -> None:
    """Changes received while not judged are not counted, and not lost."""
    views = SceneViews({})
    views.expect({1: set()}, 1.0)
    view = views.view_of(2)
    assert view is not None
    view.apply(1, True, "1")
    views.judge(2, 2.0)
    assert views.wrong == 0
    views.expect({2: {1}}, 3.0)
    assert (views.wrong, views.all_right_at) == (0, 3.0)


def test_a_town_stores_only_friendships_between_online_users() -> None:
    """In both directions, and as many users are online as requested."""
    made = town(300, 0.3, 1)
    assert len(made.online) == 90
    online = set(made.online)
    assert all(friends <= online for friends in made.of)
    assert all(one in made.of[other] for one in online for other in made.of[one])
    assert len(made.population().ids) == 300


def test_debounce_time_and_window_are_subtracted_and_peers_are_shown_in_their_scene(
    tmp_path: Path,
) -> None:
    """Table, chart and file have the same rows; the slower of both modes decides about the budget."""
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
