"""Options are read once, checked together, and refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from graph_service.errors import SetupError
from graph_service.settings import RENAMED, Settings, check_serving, load, missing_to_serve
from pubnub_bridge.settings import Settings as BridgeSettings

LONG = "x" * 32


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of the machine that runs the tests do not count."""
    for name in Settings.model_fields:
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


@pytest.mark.parametrize(("given", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_a_wrong_option_is_refused_by_its_name(given: dict[str, Any], told: str) -> None:
    """In production, which is the default."""
    with pytest.raises(SetupError) as refusal:
        load(**given)
    assert told in str(refusal.value)


def test_every_wrong_setting_of_one_start_is_reported_together() -> None:
    """Not one at a time, start by start."""
    with pytest.raises(SetupError, match=r"PORT: .*FRIEND_LIMIT: "):
        load(port=-1, friend_limit=0)


def test_development_allows_short_secrets_and_must_be_asked_for() -> None:
    """The default is production."""
    assert load().environment == "production"
    assert load(environment="development", jwt_secret="short", cors_origins="*").jwt_secret


def test_options_come_from_the_environment_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are comma separated; an empty variable is as good as none."""
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("FRIEND_LIMIT", "12")
    monkeypatch.setenv("PORT", "")
    settings = load()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert (settings.friend_limit, settings.port) == (12, 8080)


def test_a_secret_is_read_from_the_file_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One newline at its end is the editor's, not the secret's."""
    (tmp_path / "jwt").write_text(LONG + "\n")
    monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "jwt"))
    secret = load().jwt_secret
    assert secret is not None
    assert secret.get_secret_value() == LONG


def test_a_secret_given_twice_or_unreadable_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names both options, or the path."""
    monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(SetupError, match=r"JWT_SECRET_FILE: .*none cannot be read"):
        load()
    monkeypatch.setenv("JWT_SECRET", LONG)
    with pytest.raises(SetupError, match="JWT_SECRET and JWT_SECRET_FILE are both set"):
        load()


def test_secrets_do_not_show_when_options_are_printed() -> None:
    """Nor in what a refusal says."""
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


def test_options_cannot_be_changed_once_read() -> None:
    """They are handed down, so a change in one place would be unseen in another."""
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]


def test_both_shard_maps_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one of their options is a number in a string there."""
    given = {
        "PARTITIONS": "4",
        "PRESENCE_SHARDS": "2048",
        "PRESENCE_SHARD_LEVELS": "2",
        "PRESENCE_SHARDS_PREVIOUS": "128",
        "PRESENCE_SHARD_LEVELS_PREVIOUS": "1",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    made = load(Settings, environment="development").shard_map()
    assert made.channels(5) == ("presence.shard-1.1", "presence.shard-5")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_setting_by_its_old_name_refuses_the_start_and_names_the_new_one(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, suffix: str
) -> None:
    """In silence it would have no effect."""
    monkeypatch.setenv(old + suffix, "1")
    with pytest.raises(SetupError, match=f"{old} is now {new}"):
        load()


def test_every_new_name_of_a_renamed_setting_is_one_of_the_code() -> None:
    """The refusal must not send anybody to a name that is not there."""
    assert {name.lower() for name in RENAMED.values()} <= set(BridgeSettings.model_fields)
    assert not {name.lower() for name in RENAMED} & set(BridgeSettings.model_fields)
