"""Deployment files name only options and metrics that the code has, and every alert has its page. Starts nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from pubnub_bridge.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOK = ROOT / "docs" / "runbook"
RULES = (DEPLOY / "prometheus" / "alerts.yaml", DEPLOY / "prometheus" / "slo.yaml")
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "friends-presence.json"
OPTIONS = {name.upper() for name in Settings.model_fields}
_OPTION = re.compile(r"^ +([A-Z][A-Z0-9_]+):|\b([A-Z][A-Z0-9_]+)_FILE=", re.MULTILINE)
_METRIC = re.compile(r"\bfriends_[a-z_]+")
_SUFFIX = re.compile(r"_(bucket|count|sum)$")
_IMAGES_OWN = {"NEO4J_AUTH"}
STAGES = {"ingest", "debounce", "commit", "read", "enqueue", "batch", "publish"}
"""Of docs/concepts.md, in this order."""


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by name."""
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_every_option_that_is_set_is_one_of_the_code() -> None:
    """A misspelt variable would be ignored silently."""
    files = ("compose.yaml", "kubernetes/friends-presence.yaml", "systemd/friends-presence.service")
    for name in files:
        found = {a or b for a, b in _OPTION.findall((DEPLOY / name).read_text("utf-8"))}
        assert found
        assert found - _IMAGES_OWN <= OPTIONS, name


def test_every_alert_and_every_panel_reads_a_metric_of_the_code() -> None:
    """An alert on a metric that no code writes never fires."""
    code = "".join(
        (ROOT / package).read_text("utf-8")
        for package in (
            "graph_service/metrics.py",
            "pubnub_bridge/metrics.py",
            "pubnub_bridge/runtime/scheduler.py",
        )
    )
    pages = (*RULES, DASHBOARD, ROOT / "docs" / "operate.md", *RUNBOOK.glob("*.md"))
    for page in pages:
        for metric in set(_METRIC.findall(page.read_text("utf-8"))):
            assert f'"{metric}"' in code or f'"{_SUFFIX.sub("", metric)}"' in code, f"{page.name}: {metric}"


def test_every_alert_has_a_severity_and_names_its_own_page() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook"] == f"docs/runbook/{name}.md"
        page = (RUNBOOK / f"{name}.md").read_text("utf-8")
        assert page.startswith(f"# {name}\n")
        for heading in ("**Means.**", "**Who feels it.**", "**Look**", "**Do**"):
            assert heading in page, f"{name}: {heading}"


def test_every_page_of_the_runbook_has_its_alert_and_is_listed() -> None:
    pages = {file.stem for file in RUNBOOK.glob("*.md")} - {"README"}
    assert pages == set(alerts())
    listed = re.findall(r"^- \[\w+\]\((\w+)\.md\)$", (RUNBOOK / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(pages)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    file = ROOT / "tests" / "operations" / "alerts_test.yaml"
    cases = [
        case for test in yaml.safe_load(file.read_text("utf-8"))["tests"] for case in test["alert_rule_test"]
    ]
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} == set(alerts())


def test_the_dashboard_has_a_row_for_every_stage_of_the_pipeline() -> None:
    """Some stages share a row."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    shown = {word for title in rows if title.startswith("Stage") for word in re.findall(r"[a-z]+", title)}
    assert shown >= STAGES
