"""From a measured run to unit costs, and to the file that `friends-presence simulate` reads. Pure arithmetic and text.

CPU at a steady load is a sum: what a process takes for being there, so much a batch, a change, a delivery, a publish. Several
loads give the summands by least squares, none of them below zero, each load weighted by its own size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pubnub_bridge.sizing.load import batches

STORE_FRIENDSHIP, STORE_CACHED, STORE_PERSON = 75.0, 34.0, 179.0
"""By Neo4j's aligned store format: a relationship is 34 bytes, each property record 41; a friendship has `since`, a
person 15 bytes and four property records."""
HEAD = """\
# What one thing takes, measured: every number follows from one run, `make bench-sizing`, and is held against what
# other populations and benchmarks measure (`python -m bench.bridge.check_sizing`, within 20 %). Bytes of a friendship and a
# person are those of Neo4j's store format.
"""
Step = Mapping[str, Any]


def fitted(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Factors, none below zero, whose sums come nearest to `values`, by relative error."""
    factors, kept = [0.0] * len(rows[0]), list(range(len(rows[0])))
    weights = 1 / np.maximum(np.array(values), 1e-9)
    matrix, target = np.array(rows) * weights[:, None], np.array(values) * weights
    while kept:
        found = np.linalg.lstsq(matrix[:, kept], target, rcond=None)[0]
        lowest = int(found.argmin())
        if found[lowest] >= 0:
            for at, value in zip(kept, found.tolist(), strict=True):
                factors[at] = value
            break
        del kept[lowest]
    return factors


def unit_costs(run: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The tables of unit_costs.toml."""
    steady, weights = (
        [one for one in run[name] if one["role"] == "calibrate"] for name in ("steady", "weights")
    )
    busy = [one for one in steady if one["transitions"]]
    machine = run["machine"]
    return {
        "date": str(run["date"])[:10],
        "source": source,
        "machine": f"{machine['cores']} × {machine['processor']}",
        "bridge": _process(
            steady,
            busy,
            "bridge",
            {"batch": _batches, "transition": _changes, "delivery": _told, "publish": _published},
        ),
        "neo4j": _process(steady, busy, "Neo4j", {"batch": _batches, "transition": _changes, "friend": _met}),
        "valkey": _process(
            steady, busy, "Valkey", {"batch": _batches, "transition": _changes, "delivery": _told}
        ),
        "bytes": _bytes(weights),
    }


def _process(
    steady: Sequence[Step], busy: Sequence[Step], name: str, parts: Mapping[str, Callable[[Step], float]]
) -> dict[str, float]:
    idle = [one["cpu"][name] for one in steady if not one["transitions"]]
    second = min(idle)
    rows = [[part(one) for part in parts.values()] for one in busy]
    found = fitted(rows, [max(1e-9, one["cpu"][name] - second) for one in busy])
    return dict(zip(parts, found, strict=True)) | {"second": second}


def _batches(step: Step) -> float:
    return batches(float(step["transitions"]))


def _changes(step: Step) -> float:
    return float(step["transitions"])


def _told(step: Step) -> float:
    return float(step["deliveries"])


def _published(step: Step) -> float:
    """Letters: the stub counts syncs as well, two an arrival, which is one a change."""
    return float(max(0.0, step["publishes"] - step["transitions"]))


def _met(step: Step) -> float:
    return float(step["transitions"] * step["friends"])


def _bytes(weights: Sequence[Step]) -> dict[str, float]:
    def mean(value: Callable[[Step], float]) -> float:
        return sum(map(value, weights)) / len(weights)

    return {
        "hold_user": mean(lambda one: one["holdBytesAUser"]),
        "bridge": mean(lambda one: one["bridgeMiB"] * 2**20),
        "seen": mean(lambda one: one["seenBytes"] / one["changes"]),
        "inbox": mean(lambda one: one["inboxBytes"] / one["inboxText"]),
        "why": mean(lambda one: one["whyBytes"] / one["whyUsers"]),
        "valkey": mean(lambda one: one["valkeyEmptyBytes"]),
        "friendship": STORE_FRIENDSHIP,
        "friendship_cached": STORE_CACHED,
        "person": STORE_PERSON,
        "store": max(0.0, mean(_left_of_store)),
    }


def _left_of_store(one: Step) -> float:
    return float(one["storeBytes"] - one["friendships"] * STORE_FRIENDSHIP - one["people"] * STORE_PERSON)


def as_toml(costs: Mapping[str, Any]) -> str:
    """The file's text."""
    lines = [f"date = {costs['date']}", f'source = "{costs["source"]}"', f'machine = "{costs["machine"]}"']
    for name, table in costs.items():
        if isinstance(table, dict):
            unit = "" if name == "bytes" else " # CPU milliseconds"
            lines += ["", f"[{name}]{unit}", *(f"{key} = {_number(value)}" for key, value in table.items())]
    return HEAD + "\n" + "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Four digits, as TOML writes a float."""
    return f"{value:_.1f}" if value >= 1000 else repr(float(f"{value:.4g}"))
