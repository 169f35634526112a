"""What the doctor makes of options and of what servers say, without any of them."""

from __future__ import annotations

import pytest

from pubnub_bridge.doctor import options
from pubnub_bridge.doctor.engines import judged, skew
from pubnub_bridge.doctor.finding import Finding, State, failed, report
from pubnub_bridge.doctor.probe import Heard
from pubnub_bridge.doctor.pubnub import judged as presence
from pubnub_bridge.settings import Settings

GOOD = {
    "valkey_version": "9.0.0",
    "aof_enabled": "1",
    "appendfsync": "everysec",
    "maxmemory": "0",
    "used_memory": "1000000",
    "maxmemory_policy": "noeviction",
    "role": "master",
}


def wrong(findings: list[Finding]) -> set[tuple[str, State]]:
    """Check and state of all that is not fine; each says what to do."""
    assert all(one.todo for one in findings if one.state is not State.FINE)
    return {(one.check, one.state) for one in findings if one.state is not State.FINE}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, set()),
        ({"valkey_version": "6.2.1"}, {("server", State.FAILURE)}),
        ({"aof_enabled": "0"}, {("append-only file", State.FAILURE)}),
        ({"aof_last_write_status": "err"}, {("append-only file", State.FAILURE)}),
        ({"maxmemory": "2000000", "maxmemory_policy": "allkeys-lru"}, {("memory", State.FAILURE)}),
        ({"maxmemory": "1100000"}, {("memory", State.WARNING)}),
        ({"role": "slave"}, {("role", State.FAILURE)}),
    ],
)
def test_a_queue_that_may_forget_is_a_failure(said: dict[str, str], expected: set[tuple[str, State]]) -> None:
    """Version, persistence, eviction, memory and role."""
    assert wrong(judged(GOOD | said)) == expected


def test_clocks_apart_are_told_before_they_do_harm() -> None:
    """Fine, a warning from 5 s on, a failure from a minute on, where signatures are refused."""
    assert [skew("graph", ahead).state for ahead in (0.4, -6.0, 61.0)] == [
        State.FINE,
        State.WARNING,
        State.FAILURE,
    ]


def test_a_development_setup_is_warned_of_and_a_production_one_is_not() -> None:
    """The same options: warnings on a developer's machine; with the doors locked there is nothing to say."""
    loose = Settings(
        environment="development",
        access_manager="off",
        pubnub_tls=False,
        demo_login="on",
        pubnub_subscribe_key="demo",
        pubnub_publish_key="demo",
        jwt_secret="short",
    )
    found = options.look(loose)
    assert wrong(found) == {
        (name, State.WARNING) for name in ("environment", "secrets", "demo login", "tokens", "TLS", "keys")
    }
    assert not failed(found)
    safe = Settings(
        environment="production",
        pubnub_subscribe_key="sub-c-1",
        pubnub_publish_key="pub-c-1",
        pubnub_secret_key="sec-c-1",
        jwt_secret="j" * 32,
        jwt_audience="friends",
        jwt_issuer="us",
        neo4j_password="n" * 16,
    )
    assert wrong(options.look(safe)) == set()
    assert report(options.look(safe))["ok"] is True


def test_an_incomplete_setup_fails() -> None:
    """Nobody could call an API without a JWT option."""
    assert ("complete", State.FAILURE) in wrong(options.look(Settings(environment="development")))


@pytest.mark.parametrize(
    ("heard", "here", "expected"),
    [
        (Heard(), 0, {("presence", State.FAILURE)}),
        (Heard(), 25, {("presence", State.FAILURE)}),
        (Heard(announced={"a"}, intervals=1), 25, {("Presence Deltas", State.WARNING)}),
        (Heard(announced={"a"}, named={"b"}, intervals=1), 25, set()),
        (Heard(announced={"a"}), 25, set()),
    ],
)
def test_presence_is_judged_by_what_the_probe_caused(
    heard: Heard, here: int, expected: set[tuple[str, State]]
) -> None:
    """Off, without events, without Deltas, with them, and where they cannot be seen."""
    assert wrong(presence(heard, here)) == expected
