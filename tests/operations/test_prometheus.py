"""Every rule and every query of the dashboard, in a Prometheus that scrapes the running service."""

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
"""Counters by label of what goes wrong: no series before the first time, and nothing goes wrong here."""
_METRIC = re.compile(r"\bfriends_[a-z_]+")


def queries() -> dict[str, str]:
    """Every expression of the dashboard by panel and letter, with the interval that Grafana would put in."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "10s")
        for panel in panels
        for target in panel.get("targets", ())
    }


async def promtool(*words: str) -> tuple[int, str]:
    """Exit code and output of Prometheus' own checker."""
    process = await asyncio.create_subprocess_exec(
        program("promtool"),
        *words,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_promtool_accepts_the_configuration_and_every_alert_rings_when_it_should() -> None:
    """Syntax, then the cases of alerts_test.yaml."""
    code, said = await promtool("check", "config", str(DEPLOYED / "prometheus.yml"))
    assert code == 0, said
    cases = Path(__file__).with_name("alerts_test.yaml")
    code, said = await promtool("test", "rules", str(cases.relative_to(ROOT)))
    assert code == 0, said


async def test_every_rule_is_evaluated_on_the_real_metrics_without_an_error(prometheus: Prometheus) -> None:
    """A rule that divides labels which do not fit would say so here."""
    async with asyncio.timeout(60):
        while True:
            groups = (await prometheus.ask("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                break
            await asyncio.sleep(0.2)
    assert len(rules) >= 20
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    ringing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert ringing == set()


async def test_every_query_of_the_dashboard_returns_data(
    prometheus: Prometheus, capfd: pytest.CaptureFixture[str]
) -> None:
    """Empty is right only for a counter by label that has not happened, and that is one of those stated."""
    waiting, asked = dict(queries()), len(queries())
    said = await prometheus.metrics()
    for _ in range(600):  # people come, settle after the hold, are told
        waiting = {name: query for name, query in waiting.items() if not await prometheus.value(query)}
        said = await prometheus.metrics()
        if all(_may_be_empty(query, said) for query in waiting.values()):
            break
        await asyncio.sleep(0.2)
    for name, query in waiting.items():
        assert _may_be_empty(query, said), f"{name}: {query}"
    with capfd.disabled():
        print(
            f"\n{asked - len(waiting)} of {asked} queries returned data; not happened yet: {sorted(waiting)}"
        )


def _may_be_empty(query: str, said: str) -> bool:
    """Whether all its metrics are declared by the service, without a series, and stated above."""
    names = set(_METRIC.findall(query))
    return bool(names) and all(
        name in QUIET and f"# HELP {name} " in said and not re.search(rf"^{name}[{{ ]", said, re.MULTILINE)
        for name in names
    )
