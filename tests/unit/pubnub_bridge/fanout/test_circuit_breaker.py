"""The circuit: opened by silence, closed by a probe. The clock is a number."""

from __future__ import annotations

from pubnub_bridge.fanout.circuit_breaker import CircuitBreaker


def opened() -> CircuitBreaker:
    """One that has just opened at 10."""
    one = CircuitBreaker(threshold=3, min_seconds=1.0, max_seconds=8.0)
    assert [one.failed(10.0) for _ in range(3)] == [False, False, True]
    return one


def test_a_success_in_between_begins_the_count_anew() -> None:
    """Only failures in a row count."""
    one = CircuitBreaker(threshold=2)
    one.failed(0.0)
    one.succeeded()
    assert not one.failed(0.0)
    assert not one.is_open


def test_one_probe_goes_out_after_the_pause() -> None:
    """The others keep waiting."""
    one = opened()
    assert not one.may_probe(10.9)
    assert one.may_probe(11.0)
    assert not one.may_probe(11.0)


def test_a_probe_that_succeeds_closes_it() -> None:
    """And says so once."""
    one = opened()
    assert one.succeeded()
    assert not one.is_open
    assert not one.succeeded()


def test_pauses_grow_to_the_longest() -> None:
    """After each probe that fails."""
    one, now, pauses = opened(), 11.0, []
    for _ in range(5):
        assert one.may_probe(now)
        one.failed(now)
        pauses.append((one.probe_at or 0.0) - now)
        now = one.probe_at or 0.0
    assert pauses == [2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_probe_that_is_not_answered_does_not_keep_others_from_probing() -> None:
    """After the longest pause somebody else may."""
    one = opened()
    assert one.may_probe(11.0)
    assert not one.may_probe(18.9)
    assert one.may_probe(19.0)
