"""Log events are named `stage.action.outcome`, each in one file only. Reads the code; starts nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("graph_service", "pubnub_bridge", "local_stack")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
LOGGERS = frozenset({"log", "_log", "logger", "_logger"})
RETRIES = frozenset({"retry_forever", "retry_queue"})
"""Their keyword `event` names an operation, of which each wait is logged as `{event}.retrying`."""
RETRY_MODULE = "graph_service/concurrency/retry.py"
EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}")


def events(path: Path) -> Iterator[str]:
    """The log events of a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if is_log_call(node.func):
            assert node.args, f"{path}:{node.lineno}: the event is the first argument"
            yield from texts(node.args[0], path)
        elif getattr(node.func, "id", getattr(node.func, "attr", "")) in RETRIES:
            for keyword in node.keywords:
                if keyword.arg == "event":
                    yield from (f"{text}.retrying" for text in texts(keyword.value, path))


def is_log_call(called: ast.expr) -> bool:
    """Whether it is `log.info`, `self._log.info` or the like."""
    if not isinstance(called, ast.Attribute) or called.attr not in LEVELS:
        return False
    owner = called.value
    return getattr(owner, "id", getattr(owner, "attr", "")) in LOGGERS


def texts(value: ast.expr, path: Path) -> Iterator[str]:
    """The text of an event, or both of a conditional expression."""
    if isinstance(value, ast.IfExp):
        yield from texts(value.body, path)
        yield from texts(value.orelse, path)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    else:
        known = path.relative_to(ROOT).as_posix() == RETRY_MODULE
        assert known, f"{path}:{value.lineno}: an event is a literal, so that a search finds it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_log_event_is_stage_action_outcome(path: Path) -> None:
    wrong = [event for event in events(path) if not EVENT.fullmatch(event)]
    assert wrong == [], "two to four lower-case words with dots between them"


def test_the_same_log_event_does_not_stand_in_two_files() -> None:
    homes: dict[str, set[str]] = {}
    for path in FILES:
        for event in events(path):
            homes.setdefault(event, set()).add(path.relative_to(ROOT).as_posix())
    assert {event: sorted(files) for event, files in homes.items() if len(files) > 1} == {}


def test_log_calls_are_found_in_every_form(tmp_path: Path) -> None:
    """What this file looks for, on an example."""
    example = tmp_path / "example.py"
    example.write_text(
        'log.info("a.b.c")\n'
        'self._log.error("c.d.e" if bad else "c.d.f", reason=1)\n'
        'retry_forever(call, on=OSError, event="g.h")\n'
        'retry_queue(call, event="i.j")\n'
        'math.log("no")\nother.info("no")\n'
    )
    assert list(events(example)) == ["a.b.c", "c.d.e", "c.d.f", "g.h.retrying", "i.j.retrying"]
