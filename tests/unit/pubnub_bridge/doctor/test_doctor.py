"""The doctor's findings on settings and on what servers report, without any server."""

from __future__ import annotations

import pytest

from graph_service.errors import SetupError
from graph_service.settings import load
from pubnub_bridge.doctor import options
from pubnub_bridge.doctor.backends import check_info, skew
from pubnub_bridge.doctor.finding import Finding, State, failed, report
from pubnub_bridge.doctor.probe import ProbeEvents
from pubnub_bridge.doctor.pubnub import check_presence
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
    """Check and state of all findings that are not fine; each has a remedy."""
    assert all(one.todo for one in findings if one.state is not State.FINE)
    return {(one.check, one.state) for one in findings if one.state is not State.FINE}


@pytest.mark.parametrize(
    ("changed", "expected"),
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
def test_a_queue_that_can_lose_data_is_a_failure(
    changed: dict[str, str], expected: set[tuple[str, State]]
) -> None:
    """Version, persistence, eviction, memory and role."""
    assert wrong(check_info(GOOD | changed)) == expected


def test_clock_skew_is_reported_before_signatures_fail() -> None:
    """Fine, a warning from 5 s, a failure from a minute, where PubNub rejects signatures."""
    assert [skew("graph", ahead).state for ahead in (0.4, -6.0, 61.0)] == [
        State.FINE,
        State.WARNING,
        State.FAILURE,
    ]


def test_unsafe_settings_are_warnings_in_development_and_a_safe_production_has_none() -> None:
    """Each unsafe setting is a warning on a developer's machine; with safe settings there is none."""
    loose = Settings(
        environment="development",
        access_manager=False,
        pubnub_tls=False,
        demo_login=True,
        pubnub_subscribe_key="demo",
        pubnub_publish_key="demo",
        jwt_secret="short",
    )
    found = options.check(loose)
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
    assert wrong(options.check(safe)) == set()
    assert report(options.check(safe))["ok"] is True


def test_an_incomplete_setup_is_a_failure() -> None:
    """Without a JWT option no user could call the API."""
    assert ("complete", State.FAILURE) in wrong(options.check(Settings(environment="development")))


@pytest.mark.parametrize(
    ("events", "here", "expected"),
    [
        (ProbeEvents(), 0, {("presence", State.FAILURE)}),
        (ProbeEvents(), 25, {("presence", State.FAILURE)}),
        (ProbeEvents(announced={"a"}, intervals=1), 25, {("Presence Deltas", State.WARNING)}),
        (ProbeEvents(announced={"a"}, named={"b"}, intervals=1), 25, set()),
        (ProbeEvents(announced={"a"}), 25, set()),
    ],
)
def test_presence_is_checked_by_the_events_of_the_probe(
    events: ProbeEvents, here: int, expected: set[tuple[str, State]]
) -> None:
    """Off, without events, without Deltas, with them, and where they cannot be tested."""
    assert wrong(check_presence(events, here)) == expected


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


@pytest.mark.parametrize(("unsafe", "name"), UNSAFE, ids=[str(unsafe) for unsafe, _ in UNSAFE])
def test_each_unsafe_setting_is_refused_in_production_by_its_name(
    unsafe: dict[str, object], name: str
) -> None:
    """At the start, or by the doctor with exit code 1; without it there is no failure."""
    assert not failed(options.check(load(Settings, **SAFE)))
    assert name in refused(SAFE | unsafe)


def refused(values: dict[str, object]) -> str:
    """The messages against these settings."""
    try:
        settings = load(Settings, **values)
    except SetupError as refusal:
        return str(refusal)
    failures = [one for one in options.check(settings) if one.state is State.FAILURE]
    return " ".join(f"{one.check} {one.found} {one.todo}" for one in failures)
