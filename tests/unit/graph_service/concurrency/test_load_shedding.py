"""Slots and bytes: what is accepted is bounded, shrinks while requests are slow and grows when they are fast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph_service.concurrency.load_shedding import MIN_SLOTS, Limiter, LimiterBounds


def limiter_of(
    max_slots: int = 100, max_body_bytes: int = 1000, target_latency_seconds: float = 1.0
) -> Limiter:
    return Limiter(
        LimiterBounds(
            max_slots=max_slots, max_body_bytes=max_body_bytes, target_latency_seconds=target_latency_seconds
        )
    )


def test_a_request_without_a_free_slot_is_rejected_until_another_releases_one() -> None:
    """Exactly as many as there are slots."""
    limiter = limiter_of(max_slots=2)
    assert [limiter.acquire(), limiter.acquire(), limiter.acquire()] == [True, True, False]
    limiter.release()
    assert limiter.acquire()


def test_bodies_beyond_the_budget_are_rejected_but_one_always_fits() -> None:
    """Else a body larger than the budget could never be sent."""
    limiter = limiter_of(max_body_bytes=1000)
    assert limiter.reserve_body(5000)
    assert not limiter.reserve_body(1)
    limiter.free_body(5000)
    assert limiter.reserve_body(600)
    assert not limiter.reserve_body(500)
    assert limiter.reserve_body(400)


def test_slow_requests_shrink_the_limit_once_in_a_target_latency_and_fast_ones_grow_it() -> None:
    """A burst of slow responses is one sign, not a hundred."""
    limiter = limiter_of()
    for _ in range(50):
        limiter.record(2.0, now=10.0)
    assert limiter.slots == 66
    limiter.record(2.0, now=11.0)
    assert limiter.slots == 44
    for _ in range(1000):
        limiter.record(0.1, now=12.0)
    assert limiter.slots == 100


def test_some_slots_are_always_left() -> None:
    """To notice that the databases are well again."""
    limiter = limiter_of()
    for second in range(60):
        limiter.record(5.0, now=float(second))
    assert limiter.slots == MIN_SLOTS
    assert limiter_of(max_slots=3).slots == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["acquire", "release", "slow", "fast", "reserve", "free"]), st.integers(0, 2000)
        )
    )
)
def test_never_more_than_the_bounds_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """The limit stays between minimum and maximum, no slot is beyond it, and bodies fit but for a single one."""
    limiter, in_use, bodies = limiter_of(max_slots=20), 0, []
    for number, (step, size) in enumerate(steps):
        if step == "acquire":
            free = in_use < limiter.slots
            assert limiter.acquire() == free
            in_use += free
        elif step == "release" and in_use:
            limiter.release()
            in_use -= 1
        elif step in {"slow", "fast"}:
            limiter.record(9.0 if step == "slow" else 0.0, float(number))
        elif step == "reserve" and limiter.reserve_body(size):
            bodies.append(size)
        elif step == "free" and bodies:
            limiter.free_body(bodies.pop())
        assert MIN_SLOTS <= limiter.slots <= 20
        assert limiter.in_use == in_use <= 20
        assert limiter.body_bytes == sum(bodies)
        assert limiter.body_bytes <= 1000 or sum(1 for body in bodies if body) == 1


def test_at_twice_the_capacity_requests_are_served_in_time_or_rejected() -> None:
    """Simulated: 400 requests a second arrive where 200 can be processed. The latency of those accepted stays near the
    target, and a second after the flood is over all are accepted."""
    limiter, now, queue, latencies, rejected = (
        limiter_of(max_slots=1000, target_latency_seconds=0.5),
        0.0,
        [],
        [],
        0,
    )
    done_at = 0.0
    for tick in range(400 * 30):
        now = tick / 400
        while queue and queue[0][1] <= now:
            began, ended = queue.pop(0)
            limiter.release()
            limiter.record(ended - began, ended)
            latencies.append(ended - began)
        if limiter.acquire():
            done_at = max(done_at, now) + 1 / 200
            queue.append((now, done_at))
        else:
            rejected += 1
    assert 0.4 < rejected / (400 * 30) < 0.6
    steady = sorted(latencies[len(latencies) // 4 :])
    assert steady[int(len(steady) * 0.99)] < 1.0
    for _ in queue:
        limiter.release()
    assert all(limiter.acquire() for _ in range(limiter.slots))
