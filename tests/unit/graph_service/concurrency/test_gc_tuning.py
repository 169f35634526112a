"""Full collections are rare and young cycles are still freed. Runs in a separate process."""

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


def test_imported_objects_are_frozen_young_cycles_are_freed_and_full_collections_are_rare() -> None:
    """With Python's thresholds 100,000 new objects cause one full collection after the other."""
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [True, True, 0]
