"""No secret is logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from graph_service.logging import scrub, setup

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"

SECRETS = [
    ({"authorization": f"Bearer {TOKEN}"}, TOKEN),
    ({"text": f"sent {TOKEN} there"}, TOKEN),
    ({"url": "redis://user:hunter2@127.0.0.1:6379/0"}, "hunter2"),
    ({"url": "redis://:hunter2@127.0.0.1:6379/0"}, "hunter2"),
    ({"neo4j_password": "hunter2"}, "hunter2"),
    ({"service_key": "hunter2"}, "hunter2"),
    ({"headers": {"X": {"secret": "hunter2"}}}, "hunter2"),
    ({"lines": ["a", f"b {TOKEN}"]}, TOKEN),
    ({"path": "/v2/subscribe?auth=hunter2&uuid=ann"}, "hunter2"),
]


@pytest.mark.parametrize(("event", "secret"), SECRETS)
def test_a_secret_is_redacted_wherever_it_occurs(event: dict[str, object], secret: str) -> None:
    """By the name of the field, by its format, in URLs, in nested values."""
    assert secret not in json.dumps(scrub(None, "", event))


def test_what_is_no_secret_stays() -> None:
    """Ids, routes and numbers are what logs are for."""
    event = {"caller": "ann", "route": "/v1/friends/{id}", "ms": 1.5, "key": "fp:{7}:seen"}
    assert scrub(None, "", dict(event)) == event


@pytest.fixture
def _restored() -> Iterator[None]:
    """Restores the logging of the test run."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored")
def test_libraries_do_not_log_what_they_send_even_at_debug(capsys: pytest.CaptureFixture[str]) -> None:
    """The graph's driver would log every parameter of every query, users' names among them."""
    setup("debug", "json")
    logging.getLogger("neo4j.io").debug("RUN {'name': 'Annegret'}")
    logging.getLogger("pubnub").debug("Annegret")
    structlog.get_logger("ours").debug("ours")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["ours"]
    setup("error", "json")
    assert logging.getLogger("neo4j").getEffectiveLevel() == logging.ERROR


@pytest.mark.usefixtures("_restored")
def test_libraries_and_our_code_write_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, with time and level, and an exception's text scrubbed as well."""
    setup("info", "json")
    logging.getLogger("some.library").warning("token %s", TOKEN)
    try:
        int(f"bad {TOKEN}")
    except ValueError:
        structlog.get_logger("ours").exception("failed", caller="ann")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "error"]
    assert all("timestamp" in line and TOKEN not in json.dumps(line) for line in lines)
    assert lines[1]["caller"] == "ann"
    assert "ValueError" in lines[1]["exception"]
