"""Garbage collector tuning: rare full collections, since each stops the whole process.

Full collections stopped the bridge for 0.1 s every four seconds (170,000 objects, most of them imported code), and the
local origin for 0.5 s: messages were late in bursts. Nearly all objects are freed by reference counting anyway.
"""

from __future__ import annotations

import gc

THRESHOLDS = (5_000, 4, 100)
"""New objects until a collection of the youngest generation; such collections until one of the middle generation; and
those until a full one. Python's defaults are 700, 10 and 10. So a full collection comes after two million objects
instead of 70,000, and any other examines at most 20,000: with 100,000 (10,000, 10, 20) it stopped the local origin
for 0.2 s."""


def tune_gc() -> None:
    """Call it once a process, after the imports: objects that exist by now are never examined again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
