"""How seldom a process looks for cycles, and that it still does. In a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import gc, json, weakref
from graph_service.concurrency import gc_tuning
class Knot: pass
gc_tuning.tune_gc()
knot = Knot(); knot.self = knot; gone = weakref.ref(knot); del knot
full, kept = gc.get_stats()[2]["collections"], []
for _ in range(100_000): kept.append([])
print(json.dumps([gc.get_freeze_count() > 1000, gone() is None, gc.get_stats()[2]["collections"] - full]))
"""


def test_what_is_imported_is_left_alone_young_cycles_go_and_full_looks_are_seldom() -> None:
    """100,000 new objects made one full look after the other before."""
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [True, True, 0]
