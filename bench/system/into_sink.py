"""The rising churn of `bench.system.end_to_end` with publishes into a sink, to measure the servers alone.

Presence comes from the log and publishes are only acknowledged, so neither the origin nor six thousand clients use this
machine. Uses the rig of the bridge benchmarks.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.bridge.rig import DEBOUNCE_SECONDS, TICK_SECONDS, Rig, bridge, rig
from bench.harness import stacked
from bench.harness.crowd import Freshness
from bench.harness.http_load import cpu_s
from bench.harness.steps import Step, report_step
from bench.system.rising_rates import Plan
from graph_service.graph.warmup import warm
from local_stack.data.generate import generate

WARM_UP_SECONDS = 6.0
SERVICE = "friends-presence"


async def run(plan: Plan) -> tuple[list[Step], dict[str, Any]]:
    """Measure both windows, each with a new bridge; returns steps and versions."""
    steps: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as name:
        population = generate(plan.people, plan.low, plan.high, plan.seed)
        async with rig(Path(name), population, plan.seed) as made:
            await warm(made.graph)
            for window, seconds in (("adaptive", 0.0), ("1 s", 1.0)):
                made.stub.window_ms = round(seconds * 1000)
                async with bridge(made, seconds, Path(name) / "bridge.log") as pid:
                    steps += await _rising(plan, made, window, pid)
            return steps, {"versions": stacked.versions(made.engines)}


async def _rising(plan: Plan, made: Rig, window: str, pid: int) -> list[Step]:
    steps: list[Step] = []
    for rate in plan.rates:
        steps.append(await _step(plan, made, (window, rate), pid))
        if not steps[-1].sustained:
            break
    await asyncio.sleep(DEBOUNCE_SECONDS)
    await made.until_drained()
    return steps


async def _step(plan: Plan, made: Rig, wanted: tuple[str, float], pid: int) -> Step:
    window, rate = wanted
    await _steady(made, rate, WARM_UP_SECONDS)
    made.stub.begin()
    before, began = _used(made, pid), time.monotonic()
    changes = await _steady(made, rate, plan.seconds)
    took = time.monotonic() - began
    spent = {name: now - before[name] for name, now in _used(made, pid).items()}
    stub = made.stub
    step = Step(
        window=window,
        wanted=rate,
        transitions=round(changes / took, 1),
        failed=0,
        deliveries=round(stub.notifications / took, 1),
        publishes=round(stub.publishes / took, 1),
        notified=Freshness.of(stub.late),
        beyond=Freshness.of(stub.beyond),
        acted=None,
        connect_p50=None,
        connect_p99=None,
        cpu={name: round(1e6 * cpu / max(1, stub.notifications), 3) for name, cpu in spent.items()},
        cores={name: round(cpu / took, 3) for name, cpu in spent.items()},
    )
    report_step(step)
    return step


def _used(made: Rig, pid: int) -> dict[str, float]:
    pids = {server.engine.name: server.pid for server in made.engines.servers}
    pids |= {SERVICE: pid, "sink and churn": os.getpid()}
    return {name: cpu_s(one) for name, one in pids.items()}


async def _steady(made: Rig, rate: float, seconds: float) -> int:
    began, changes = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        if due := int(rate * passed) - changes:
            await made.log.append(made.changes(due))
            changes += due
        await asyncio.sleep(TICK_SECONDS)
    return changes
