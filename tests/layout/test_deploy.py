"""Deployment files name only options and metrics that the code has. Starts nothing."""

from __future__ import annotations

import re
from pathlib import Path

from pubnub_bridge.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OPTIONS = {name.upper() for name in Settings.model_fields}
_OPTION = re.compile(r"^ +([A-Z][A-Z0-9_]+):|\b([A-Z][A-Z0-9_]+)_FILE=", re.MULTILINE)
_METRIC = re.compile(r"\bfriends_[a-z_]+")
_IMAGES_OWN = {"NEO4J_AUTH"}


def test_every_option_that_is_set_is_one_of_the_code() -> None:
    """A misspelt variable would be ignored in silence."""
    files = ("compose.yaml", "kubernetes/friends-presence.yaml", "systemd/friends-presence.service")
    for name in files:
        found = {a or b for a, b in _OPTION.findall((DEPLOY / name).read_text("utf-8"))}
        assert found
        assert found - _IMAGES_OWN <= OPTIONS, name


def test_every_alarm_watches_a_metric_of_the_code() -> None:
    """An alarm on a name that nobody writes never rings."""
    code = "".join(
        (ROOT / package / "metrics.py").read_text("utf-8") for package in ("graph_service", "pubnub_bridge")
    )
    for page in (DEPLOY / "prometheus" / "alerts.yaml", ROOT / "docs" / "operate.md"):
        for metric in set(_METRIC.findall(page.read_text("utf-8"))):
            assert f'"{metric}"' in code, f"{page.name}: {metric}"
