"""Unit costs by least squares: from a measured run to the file that `friends-presence simulate` reads. Pure.

CPU at a steady load is a sum: a constant for the idle process, and a cost for each batch, change, delivery and publish.
The costs are fitted to several loads, none below zero, by relative error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pubnub_bridge.sizing.load import batches

STORE_FRIENDSHIP_BYTES, STORE_CACHED_BYTES, STORE_USER_BYTES = 75.0, 34.0, 179.0
"""By Neo4j's aligned store format: a relationship is 34 bytes, each property record 41; a friendship has `since`, a
user 15 bytes and four property records."""
HEADER = """\
# Measured unit costs: every number follows from one run of `make bench-sizing`, and is compared with what other
# populations and benchmarks measure (`python -m bench.bridge.check_sizing`, within 20 %). Bytes of a friendship and of a
# user are those of Neo4j's store format.
"""
Step = Mapping[str, Any]


def fitted(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """The factors, none below zero, that predict `values` with the least relative error."""
    factors, remaining = [0.0] * len(rows[0]), list(range(len(rows[0])))
    weights = 1 / np.maximum(np.array(values), 1e-9)
    matrix, target = np.array(rows) * weights[:, None], np.array(values) * weights
    while remaining:
        found = np.linalg.lstsq(matrix[:, remaining], target, rcond=None)[0]
        lowest = int(found.argmin())
        if found[lowest] >= 0:
            for at, value in zip(remaining, found.tolist(), strict=True):
                factors[at] = value
            break
        del remaining[lowest]
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
            {"batch": _batches, "transition": _changes, "delivery": _deliveries, "publish": _messages},
        ),
        "neo4j": _process(
            steady, busy, "Neo4j", {"batch": _batches, "transition": _changes, "friend": _friends_read}
        ),
        "valkey": _process(
            steady, busy, "Valkey", {"batch": _batches, "transition": _changes, "delivery": _deliveries}
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


def _deliveries(step: Step) -> float:
    return float(step["deliveries"])


def _messages(step: Step) -> float:
    """Publishes without syncs: a join has two syncs, so there is one sync for each change on average."""
    return float(max(0.0, step["publishes"] - step["transitions"]))


def _friends_read(step: Step) -> float:
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
        "friendship": STORE_FRIENDSHIP_BYTES,
        "friendship_cached": STORE_CACHED_BYTES,
        "person": STORE_USER_BYTES,
        "store": max(0.0, mean(_left_of_store)),
    }


def _left_of_store(one: Step) -> float:
    return float(
        one["storeBytes"] - one["friendships"] * STORE_FRIENDSHIP_BYTES - one["people"] * STORE_USER_BYTES
    )


def as_toml(costs: Mapping[str, Any]) -> str:
    """The file's text."""
    lines = [f"date = {costs['date']}", f'source = "{costs["source"]}"', f'machine = "{costs["machine"]}"']
    for name, table in costs.items():
        if isinstance(table, dict):
            unit = "" if name == "bytes" else " # CPU milliseconds"
            lines += ["", f"[{name}]{unit}", *(f"{key} = {_number(value)}" for key, value in table.items())]
    return HEADER + "\n" + "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Four digits, as TOML writes a float."""
    return f"{value:_.1f}" if value >= 1000 else repr(float(f"{value:.4g}"))
