"""The command simulate, by its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graph_service.errors import FriendsError
from pubnub_bridge.cli.main import app
from pubnub_bridge.sizing import figures

runner = CliRunner()


def test_tables_show_what_a_count_costs_and_at_which_price() -> None:
    """The largest line, with its arithmetic."""
    shown = runner.invoke(app, ["simulate", "--online", "500000", "--friends", "750", "--session", "30m"])
    assert shown.exit_code == 0
    words = " ".join(shown.output.split())
    assert "status.count every 10 s to 500,000 people is $142,560 a day" in words
    assert "8,640 counts × 500,000 deliveries × $0.000033" in words
    assert "signals" in words


def test_json_is_the_whole_prediction() -> None:
    """For programs; a longer count interval makes it cheaper."""
    short, long = (
        json.loads(runner.invoke(app, ["simulate", "--count-interval", every, "--json"]).output)
        for every in ("10s", "1m")
    )
    assert short["load"]["transitions"] == pytest.approx(555.6, abs=0.1)
    assert long["dollarsADay"]["sharedTotal"] < short["dollarsADay"]["sharedTotal"]
    assert {way["name"] for way in short["dollarsADay"]["ways"]} == {
        "inbox push",
        "friend channels",
        "signals",
    }


def test_another_price_list_can_be_used(tmp_path: Path) -> None:
    """Of the same shape."""
    file = tmp_path / "mine.toml"
    text = figures.PRICES.read_text(encoding="utf-8").replace("edge = 0.000033", "edge = 0.0")
    file.write_text(text, encoding="utf-8")
    shown = runner.invoke(app, ["simulate", "--prices", str(file), "--json"])
    assert json.loads(shown.output)["prices"]["edge"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--online", "0"], "--online: 0 is not between 1 and 50,000,000 people"),
        (["--session", "soon"], "--session: 'soon' is no duration"),
        (["--app-context", "some"], "--app-context: 'some' is none of off, flags, full"),
        (["--shards", "30"], "--shards: 30 is no multiple of --partitions 20"),
    ],
)
def test_bad_input_names_the_option_and_its_limit(arguments: list[str], message: str) -> None:
    """In one line."""
    refused = runner.invoke(app, ["simulate", *arguments])
    assert isinstance(refused.exception, FriendsError)
    assert message in str(refused.exception)
