"""When Python looks for unreachable cycles: seldom, since each full look stops everything. Knows the collector only.

Full looks of the bridge stopped it for 0.1 s every four seconds (170,000 objects, most of them imported code), those of
the local origin for 0.5 s: messages got late in bursts. Nearly everything of ours goes when its last reference does.
"""

from __future__ import annotations

import gc

THRESHOLDS = (5_000, 4, 100)
"""Objects made and kept until the youngest are looked at; such looks until those that survived one are, and those until
all are. Python's own are 700, 10 and 10. A full look comes after two million objects, then, not after 70,000; one that
is not full sees 20,000 at most: with 100,000 (10,000, 10, 20) it stopped the local origin for 0.2 s."""


def tune_gc() -> None:
    """Call it once a process, when everything is imported: that is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
