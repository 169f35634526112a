"""Neo4j's share of a machine's memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_stack.engines.memory import MIB, Memory, of_machine, shared_out


def test_a_laptop_and_a_server() -> None:
    """16 GiB and 256 GiB."""
    assert shared_out(16 * 1024 * MIB) == Memory(2048, 4096)
    assert shared_out(256 * 1024 * MIB) == Memory(4096, 16384)


@given(st.integers(0, 2**45))
def test_there_is_always_enough_to_start_and_never_a_heap_without_compressed_pointers(total: int) -> None:
    memory = shared_out(total)
    assert 512 <= memory.heap <= 31 * 1024
    assert memory.page_cache >= 128


@given(st.integers(2 * 1024 * MIB, 2**45))
def test_most_of_a_machine_is_left_to_others(total: int) -> None:
    """From 2 GiB on, at most half."""
    memory = shared_out(total)
    assert (memory.heap + memory.page_cache) * MIB <= total / 2


def test_a_configured_size_wins() -> None:
    assert shared_out(16 * 1024 * MIB, heap=700) == Memory(700, 4096)
    assert shared_out(16 * 1024 * MIB, page_cache=99) == Memory(2048, 99)


def test_the_memory_of_this_machine_is_found() -> None:
    assert of_machine() > 64 * MIB
