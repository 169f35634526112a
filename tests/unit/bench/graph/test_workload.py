"""The workload has LinkBench's mix and its power law of popularity."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import pytest

from bench.graph.workload import LINKBENCH, OURS, Op, Popular, mix, operations, rank


def test_every_link_operation_of_linkbench_is_mapped_in_full() -> None:
    """Only its writes of nodes are dropped, and nothing is counted twice."""
    assert set(OURS) == set(LINKBENCH)
    assert all(sum(parts.values()) == pytest.approx(1.0) for parts in OURS.values())
    assert sum(mix().values()) == pytest.approx(1.0)
    assert sum(LINKBENCH.values()) == pytest.approx(100 - 2.5732789 - 7.366437 - 1.0115914)


def test_reads_are_seven_in_nine() -> None:
    """As in the paper, where 69 of the 89 % are reads."""
    writes = {Op.ASK, Op.ACCEPT, Op.REMOVE, Op.BLOCK}
    assert sum(share for op, share in mix().items() if op not in writes) == pytest.approx(69.06 / 89.05, 1e-3)


def test_operations_come_by_their_shares() -> None:
    """Within 1 % over many draws."""
    drawn = Counter(islice(operations(random.Random(1), mix()), 50_000))
    assert all(abs(drawn[op] / 50_000 - share) < 0.01 for op, share in mix().items())


@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2**-53])
def test_a_rank_is_a_place_in_the_order(draw: float) -> None:
    assert 0 <= rank(draw, 1000, 0.8) < 1000
    assert rank(draw, 1, 0.8) == 0


def test_the_most_popular_tenth_has_nearly_half_of_the_reads() -> None:
    """With an exponent of 0.8; every user has some."""
    users = [f"u{number}" for number in range(500)]
    popular = Popular(users, random.Random(2))
    drawn = Counter(popular.one() for _ in range(50_000))
    assert sum(count for _, count in drawn.most_common(50)) > 22_000
    assert len(drawn) == 500
