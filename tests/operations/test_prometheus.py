"""Every rule and every dashboard query, evaluated in a Prometheus that scrapes the running service."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.operations.conftest import DEPLOYED, ROOT, Prometheus, program

pytestmark = [pytest.mark.operations, pytest.mark.timeout(600)]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "friends-presence.json"
QUIET = {
    "friends_pubnub_denied_total",
    "friends_queue_failures_total",
    "friends_flag_writes_refused_total",
    "friends_jobs_failed_total",
    "friends_http_rate_limited_total",
    "friends_http_shed_total",
}
"""Labelled counters of failures. They have no series before the first failure, and nothing fails here."""
_METRIC = re.compile(r"\bfriends_[a-z_]+")


def queries() -> dict[str, str]:
    """Every expression of the dashboard by panel and query letter, with a fixed rate interval."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "10s")
        for panel in panels
        for target in panel.get("targets", ())
    }


async def promtool(*words: str) -> tuple[int, str]:
    """Exit code and output of promtool."""
    process = await asyncio.create_subprocess_exec(
        program("promtool"),
        *words,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_promtool_accepts_the_configuration_and_every_alert_fires_when_it_should() -> None:
    """Syntax, then the cases of alerts_test.yaml."""
    code, output = await promtool("check", "config", str(DEPLOYED / "prometheus.yml"))
    assert code == 0, output
    cases = Path(__file__).with_name("alerts_test.yaml")
    code, output = await promtool("test", "rules", str(cases.relative_to(ROOT)))
    assert code == 0, output


async def test_every_rule_is_evaluated_on_the_real_metrics_without_an_error(prometheus: Prometheus) -> None:
    """A rule that divides series whose labels do not match fails here."""
    async with asyncio.timeout(60):
        while True:
            groups = (await prometheus.ask("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                break
            await asyncio.sleep(0.2)
    assert len(rules) >= 20
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert firing == set()


async def test_every_query_of_the_dashboard_returns_data(
    prometheus: Prometheus, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only a labelled counter of `QUIET` without a first failure may be empty."""
    waiting, asked = dict(queries()), len(queries())
    metrics = await prometheus.metrics()
    for _ in range(600):  # users come, are committed after the debounce time, and friends are notified
        waiting = {name: query for name, query in waiting.items() if not await prometheus.value(query)}
        metrics = await prometheus.metrics()
        if all(_may_be_empty(query, metrics) for query in waiting.values()):
            break
        await asyncio.sleep(0.2)
    for name, query in waiting.items():
        assert _may_be_empty(query, metrics), f"{name}: {query}"
    with capfd.disabled():
        print(
            f"\n{asked - len(waiting)} of {asked} queries returned data; no failure counted yet: {sorted(waiting)}"
        )


def _may_be_empty(query: str, metrics: str) -> bool:
    """Whether all its metrics are in `QUIET`, declared by the service, and without a series."""
    names = set(_METRIC.findall(query))
    return bool(names) and all(
        name in QUIET
        and f"# HELP {name} " in metrics
        and not re.search(rf"^{name}[{{ ]", metrics, re.MULTILINE)
        for name in names
    )
