"""Places and space: what is let in is bounded, shrinks while calls are slow and comes back when they are fast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph_service.concurrency.load_shedding import MIN_SLOTS, Limiter, LimiterBounds


def room(places: int = 100, size: int = 1000, patience: float = 1.0) -> Limiter:
    """A room of this size."""
    return Limiter(LimiterBounds(places, size, patience))


def test_who_finds_no_place_is_sent_away_until_somebody_leaves() -> None:
    """Exactly as many as there are places."""
    small = room(places=2)
    assert [small.enter(), small.enter(), small.enter()] == [True, True, False]
    small.leave()
    assert small.enter()


def test_bodies_beyond_the_space_are_refused_but_one_always_fits() -> None:
    """Else a body larger than the space could never be sent."""
    small = room(size=1000)
    assert small.hold(5000)
    assert not small.hold(1)
    small.drop(5000)
    assert small.hold(600)
    assert not small.hold(500)
    assert small.hold(400)


def test_slow_calls_take_places_away_once_in_their_patience_and_fast_ones_bring_them_back() -> None:
    """A burst of slow answers is one sign, not a hundred."""
    here = room()
    for _ in range(50):
        here.took(2.0, now=10.0)
    assert here.places == 66
    here.took(2.0, now=11.0)
    assert here.places == 44
    for _ in range(1000):
        here.took(0.1, now=12.0)
    assert here.places == 100


def test_some_places_are_always_left() -> None:
    """To notice that the engines are well again."""
    here = room()
    for second in range(60):
        here.took(5.0, now=float(second))
    assert here.places == MIN_SLOTS
    assert room(places=3).places == 3


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "slow", "fast", "hold", "drop"]), st.integers(0, 2000))
    )
)
def test_never_more_than_the_bounds_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """Places between the fewest and the most, nobody beyond them, bodies within the space but for a single one."""
    here, inside, bodies = room(places=20), 0, []
    for number, (step, size) in enumerate(steps):
        if step == "enter":
            free = inside < here.places
            assert here.enter() == free
            inside += free
        elif step == "leave" and inside:
            here.leave()
            inside -= 1
        elif step in {"slow", "fast"}:
            here.took(9.0 if step == "slow" else 0.0, float(number))
        elif step == "hold" and here.hold(size):
            bodies.append(size)
        elif step == "drop" and bodies:
            here.drop(bodies.pop())
        assert MIN_SLOTS <= here.places <= 20
        assert here.taken == inside <= 20
        assert here.held == sum(bodies)
        assert here.held <= 1000 or sum(1 for body in bodies if body) == 1


def test_twice_as_much_as_an_engine_can_do_is_answered_in_time_or_sent_away() -> None:
    """Simulated: 400 calls a second arrive where 200 are done; the latency of those let in stays near the patience,
    and a second after the flood is over everybody is let in."""
    here, now, queue, late, away = room(places=1000, patience=0.5), 0.0, [], [], 0
    done_at = 0.0
    for tick in range(400 * 30):
        now = tick / 400
        while queue and queue[0][1] <= now:
            began, ended = queue.pop(0)
            here.leave()
            here.took(ended - began, ended)
            late.append(ended - began)
        if here.enter():
            done_at = max(done_at, now) + 1 / 200
            queue.append((now, done_at))
        else:
            away += 1
    assert 0.4 < away / (400 * 30) < 0.6
    settled = sorted(late[len(late) // 4 :])
    assert settled[int(len(settled) * 0.99)] < 1.0
    for _ in queue:
        here.leave()
    assert all(here.enter() for _ in range(here.places))
