"""Settings are read once, checked together, and refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from graph_service.api import app, authentication, concurrency_limits, connection, middleware, rate_limits
from graph_service.errors import SetupError
from graph_service.graph import driver
from graph_service.settings import FIXED, RENAMED, Settings, check_serving, load, missing_to_serve
from pubnub_bridge.debounce import storm_detector
from pubnub_bridge.fanout import batcher, publisher
from pubnub_bridge.observe.console import feed
from pubnub_bridge.pubnub_api import app_context, publish_client, tokens
from pubnub_bridge.runtime import context
from pubnub_bridge.settings import Settings as BridgeSettings

LONG = "x" * 32
MAX_SETTINGS = 65
"""Of before 1.0; a setting that a later feature needs comes on top."""


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the machine that runs the tests do not count."""
    for name in BridgeSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"presence_shards": 30}, "PRESENCE_SHARDS (30) must be a multiple of PARTITIONS (20)"),
    ({"jwt_secret": LONG, "jwt_jwks_url": "https://a"}, "JWT_SECRET and JWT_JWKS_URL"),
    ({"service_key_previous": LONG}, "SERVICE_KEY_PREVIOUS needs SERVICE_KEY"),
    ({"rate_limit_user": "5 per moon"}, "RATE_LIMIT_USER: "),
    ({"trusted_proxies": "10.0.0.1/8"}, "TRUSTED_PROXIES: "),
    ({"port": 70000}, "PORT: "),
    ({"environment": "staging"}, "ENVIRONMENT: "),
    ({"jwt_secret": "short"}, "JWT_SECRET must have at least 32 characters"),
    ({"service_key": "short"}, "SERVICE_KEY must have at least 32 characters"),
    ({"console_key": "short"}, "CONSOLE_KEY must have at least 32 characters"),
    ({"neo4j_password": "Neo4j"}, "NEO4J_PASSWORD must not be one that everybody knows"),
    ({"cors_origins": "*"}, "CORS_ORIGINS must name origins"),
    ({"jwt_jwks_url": "http://keys.example"}, "JWT_JWKS_URL must be https"),
    ({"trusted_proxies": "0.0.0.0/0"}, "TRUSTED_PROXIES must not be everybody"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_production_refuses_a_wrong_setting_by_its_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SetupError) as refusal:
        load(**values)
    assert message in str(refusal.value)


def test_one_start_names_every_wrong_setting() -> None:
    with pytest.raises(SetupError, match=r"PORT: .*FRIEND_LIMIT: "):
        load(port=-1, friend_limit=0)


def test_development_allows_short_secrets_and_must_be_asked_for() -> None:
    assert load().environment == "production"
    assert load(environment="development", jwt_secret="short", cors_origins="*").jwt_secret


def test_settings_come_from_the_environment_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are comma separated; an empty variable is as good as none."""
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("FRIEND_LIMIT", "12")
    monkeypatch.setenv("PORT", "")
    settings = load()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert (settings.friend_limit, settings.port) == (12, 8080)


def test_a_secret_is_read_from_its_file_without_the_last_newline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "jwt").write_text(LONG + "\n")
    monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "jwt"))
    secret = load().jwt_secret
    assert secret is not None
    assert secret.get_secret_value() == LONG


def test_a_secret_set_twice_or_unreadable_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message names both settings, or the path."""
    monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(SetupError, match=r"JWT_SECRET_FILE: .*none cannot be read"):
        load()
    monkeypatch.setenv("JWT_SECRET", LONG)
    with pytest.raises(SetupError, match="JWT_SECRET and JWT_SECRET_FILE are both set"):
        load()


def test_secrets_show_neither_in_printed_settings_nor_in_refusals() -> None:
    settings = load(jwt_secret=LONG, redis_url="redis://:hunter2@127.0.0.1/0", neo4j_password="hunter3")
    assert not any(word in repr(settings) for word in (LONG, "hunter2", "hunter3"))
    with pytest.raises(SetupError) as refusal:
        load(jwt_secret="hunter4")
    assert "hunter4" not in str(refusal.value)


def test_serving_names_what_is_missing() -> None:
    """A token's key always; in production audience, issuer and the graph's password too."""
    with pytest.raises(SetupError, match="JWT_SECRET or JWT_JWKS_URL must be set"):
        check_serving(load(environment="development"))
    missing = " ".join(missing_to_serve(load(jwt_secret=LONG)))
    assert all(name in missing for name in ("JWT_AUDIENCE", "JWT_ISSUER", "NEO4J_PASSWORD"))
    check_serving(load(jwt_secret=LONG, jwt_audience="app", jwt_issuer="us", neo4j_password="p"))


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]


def test_both_shard_maps_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of their settings is a number in a string there."""
    environ = {
        "PARTITIONS": "4",
        "PRESENCE_SHARDS": "2048",
        "PRESENCE_SHARD_LEVELS": "2",
        "PRESENCE_SHARDS_PREVIOUS": "128",
        "PRESENCE_SHARD_LEVELS_PREVIOUS": "1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    shards = load(Settings, environment="development").shard_map()
    assert shards.channels(5) == ("presence.shard-1.1", "presence.shard-5")


def test_at_most_65_settings_remain_of_before_1_0() -> None:
    assert len(BridgeSettings.model_fields) <= MAX_SETTINGS


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [("production", True, "json"), ("development", False, "json"), ("development", True, "console")],
)
def test_logs_are_text_on_a_developers_terminal_only(
    monkeypatch: pytest.MonkeyPatch, environment: str, terminal: bool, expected: str
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert load(environment=environment).log_format == expected


@pytest.mark.parametrize(("requests", "webhooks"), [(100, 16), (10_000, 1600), (1, 1)])
def test_webhook_calls_have_a_share_of_the_concurrent_requests(requests: int, webhooks: int) -> None:
    assert load(BridgeSettings, max_concurrent_requests=requests).max_concurrent_webhooks == webhooks


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_setting_by_its_old_name_refuses_the_start_and_names_the_new_one(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, suffix: str
) -> None:
    monkeypatch.setenv(old + suffix, "1")
    with pytest.raises(SetupError, match=f"{old} is now {new}"):
        load()


@pytest.mark.parametrize("name", ["hold_online", "Hold_Online", "max_consoles"])
def test_an_old_name_refuses_the_start_in_any_case(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Settings are read whatever their case."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(SetupError, match=name.upper()):
        load()


def test_every_new_name_of_a_renamed_setting_exists() -> None:
    assert {name.lower() for name in set(RENAMED.values()) - set(FIXED)} <= set(BridgeSettings.model_fields)
    assert not {name.lower() for name in RENAMED} & set(BridgeSettings.model_fields)


@pytest.mark.parametrize(("name", "value"), FIXED.items())
@pytest.mark.parametrize("kind", [Settings, BridgeSettings])
def test_a_setting_that_became_a_constant_refuses_the_start_and_names_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: type[Settings]
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SetupError, match=f"{name} is fixed now: {value}"):
        load(kind)


def test_one_start_names_every_setting_that_was_renamed_or_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALL_PATIENCE", "1")
    monkeypatch.setenv("MAX_CONSOLES", "1")
    with pytest.raises(
        SetupError, match=r"CALL_PATIENCE is now TARGET_LATENCY_SECONDS; MAX_CONSOLES is fixed"
    ):
        load()


def test_no_setting_is_also_a_constant() -> None:
    assert not {name.lower() for name in FIXED} & set(BridgeSettings.model_fields)
    assert not set(FIXED) & set(RENAMED)


CONSTANTS: dict[str, object] = {
    "MAX_BODY_BYTES": app.MAX_BODY_BYTES,
    "MAX_HEADER_BYTES": middleware.MAX_HEADER_BYTES,
    "MAX_CONCURRENT_BODY_BYTES": concurrency_limits.MAX_CONCURRENT_BODY_BYTES,
    "MAX_QUEUED_REQUESTS": concurrency_limits.MAX_QUEUED_REQUESTS,
    "HEADER_TIMEOUT_SECONDS": connection.HEADER_TIMEOUT_SECONDS,
    "BODY_TIMEOUT_SECONDS": concurrency_limits.BODY_TIMEOUT_SECONDS,
    "JWT_LEEWAY_SECONDS": authentication.JWT_LEEWAY_SECONDS,
    "RATE_LIMIT_CONSOLE": rate_limits.RATE_LIMIT_CONSOLE,
    "RATE_LIMIT_ALL": rate_limits.RATE_LIMIT_ALL or "no limit",
    "NEO4J_DATABASE": driver.DATABASE,
    "PUBNUB_USER": context.PUBNUB_USER,
    "TOKEN_MINUTES": tokens.TOKEN_MINUTES,
    "STORM_MIN_SHARE": storm_detector.STORM_MIN_SHARE,
    "STORM_DETECTION_SECONDS": storm_detector.STORM_DETECTION_SECONDS,
    "STORM_BATCH_WINDOW_SECONDS": storm_detector.STORM_BATCH_WINDOW_SECONDS,
    "BATCH_WINDOW_MAX_SECONDS": batcher.BATCH_WINDOW_MAX_SECONDS,
    "PUBLISH_PIPELINE": publish_client.MAX_PIPELINED_PUBLISHES,
    "PUBLISH_MAX_ATTEMPTS": publisher.PUBLISH_MAX_ATTEMPTS,
    "APP_CONTEXT_PER_SECOND": app_context.APP_CONTEXT_PER_SECOND,
    "CONSOLE_INTERVAL_SECONDS": feed.CONSOLE_INTERVAL_SECONDS,
    "MAX_CONSOLES": feed.MAX_CONSOLES,
}
"""Constants by the setting that each one was."""


@pytest.mark.parametrize(("name", "value"), CONSTANTS.items())
def test_the_value_in_the_refusal_is_that_of_the_constant(name: str, value: object) -> None:
    assert FIXED[name] == str(value)
