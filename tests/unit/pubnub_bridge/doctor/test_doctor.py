"""What the doctor makes of options and of what servers say, without any of them."""

from __future__ import annotations

import pytest

from graph_service.errors import SetupError
from graph_service.settings import load
from pubnub_bridge.doctor import options
from pubnub_bridge.doctor.backends import judged, skew
from pubnub_bridge.doctor.finding import Finding, State, failed, report
from pubnub_bridge.doctor.probe import ProbeEvents
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
        access_manager=False,
        pubnub_tls=False,
        demo_login=True,
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
        (ProbeEvents(), 0, {("presence", State.FAILURE)}),
        (ProbeEvents(), 25, {("presence", State.FAILURE)}),
        (ProbeEvents(announced={"a"}, intervals=1), 25, {("Presence Deltas", State.WARNING)}),
        (ProbeEvents(announced={"a"}, named={"b"}, intervals=1), 25, set()),
        (ProbeEvents(announced={"a"}), 25, set()),
    ],
)
def test_presence_is_judged_by_what_the_probe_caused(
    heard: ProbeEvents, here: int, expected: set[tuple[str, State]]
) -> None:
    """Off, without events, without Deltas, with them, and where they cannot be seen."""
    assert wrong(presence(heard, here)) == expected


SAFE = {
    "environment": "production",
    "pubnub_subscribe_key": "sub-c-1",
    "pubnub_publish_key": "pub-c-1",
    "pubnub_secret_key": "sec-c-1",
    "jwt_secret": "j" * 32,
    "jwt_audience": "friends",
    "jwt_issuer": "us",
    "neo4j_password": "n" * 16,
}
UNSAFE: list[tuple[dict[str, object], str]] = [
    ({"demo_login": True}, "DEMO_LOGIN"),
    ({"access_manager": False}, "ACCESS_MANAGER"),
    ({"pubnub_tls": False}, "TLS"),
    ({"pubnub_subscribe_key": "demo"}, "keys"),
    ({"neo4j_password": "neo4j"}, "NEO4J_PASSWORD"),
    ({"neo4j_password": "password"}, "NEO4J_PASSWORD"),
    ({"neo4j_password": ""}, "NEO4J_PASSWORD"),
    ({"jwt_secret": None}, "JWT_SECRET"),
    ({"jwt_secret": "short"}, "JWT_SECRET"),
    ({"jwt_audience": None}, "JWT_AUDIENCE"),
    ({"jwt_issuer": None}, "JWT_ISSUER"),
    ({"service_key": "short"}, "SERVICE_KEY"),
    ({"console_key": "short"}, "CONSOLE_KEY"),
    ({"webhook_secret": "short"}, "WEBHOOK_SECRET"),
    ({"webhook_secret": "w" * 32, "webhook_secret_previous": "short"}, "WEBHOOK_SECRET_PREVIOUS"),
    ({"webhook_secret_previous": "w" * 32}, "WEBHOOK_SECRET_PREVIOUS"),
    ({"events_url": "https://a.example"}, "EVENTS_SECRET"),
    ({"events_url": "https://a.example", "events_secret": "short"}, "EVENTS_SECRET"),
    ({"cors_origins": ("*",)}, "CORS_ORIGINS"),
    ({"trusted_proxies": ("0.0.0.0/0",)}, "TRUSTED_PROXIES"),
    ({"jwt_secret": None, "jwt_jwks_url": "http://keys.example"}, "JWT_JWKS_URL"),
]


@pytest.mark.parametrize(("given", "named"), UNSAFE, ids=[str(given) for given, _ in UNSAFE])
def test_each_unsafe_setting_is_refused_in_production_by_its_name(
    given: dict[str, object], named: str
) -> None:
    """Where it is read already, or by the doctor, whose exit code tells of it; without it all is well."""
    assert not failed(options.look(load(Settings, **SAFE)))
    assert named in refused(SAFE | given)


def refused(given: dict[str, object]) -> str:
    """What is said against these options."""
    try:
        settings = load(Settings, **given)
    except SetupError as refusal:
        return str(refusal)
    failures = [one for one in options.look(settings) if one.state is State.FAILURE]
    return " ".join(f"{one.check} {one.seen} {one.todo}" for one in failures)
