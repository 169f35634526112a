"""Keys are taken from the environment, or generated and stored."""

from __future__ import annotations

from pathlib import Path

from local_stack.engines.data_folder import DataFolder
from local_stack.stack import credentials


def test_without_an_environment_all_keys_are_generated_and_stored(tmp_path: Path) -> None:
    """A second start has the same; each is long enough for the service."""
    first = credentials.read(DataFolder(tmp_path), {})
    assert credentials.read(DataFolder(tmp_path), {}) == first
    assert min(len(key) for key in (first.jwt_secret, first.service_key, first.console_key)) >= 32
    assert first.origin == ""
    assert len({first.jwt_secret, first.service_key, first.console_key, first.secret_key}) == 4


def test_keys_of_the_environment_win(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    environ = {"JWT_SECRET": "given", "SERVICE_KEY_FILE": str(tmp_path / "key")}
    keys = credentials.read(DataFolder(tmp_path), environ)
    assert (keys.jwt_secret, keys.service_key) == ("given", "from a file")


def test_a_pubnub_keyset_replaces_the_local_origin(tmp_path: Path) -> None:
    """Its host is PubNub's unless another is named."""
    environ = {"PUBNUB_SUBSCRIBE_KEY": "sub", "PUBNUB_PUBLISH_KEY": "pub", "PUBNUB_SECRET_KEY": "sec"}
    keys = credentials.read(DataFolder(tmp_path), environ)
    assert (keys.subscribe_key, keys.publish_key, keys.secret_key) == ("sub", "pub", "sec")
    assert keys.origin == "ps.pndsn.com"
    assert (
        credentials.read(DataFolder(tmp_path), {**environ, "PUBNUB_ORIGIN": "example.com"}).origin
        == "example.com"
    )


def test_no_key_is_shown_when_the_object_is_printed(tmp_path: Path) -> None:
    """A log line with it contains no secret."""
    keys = credentials.read(DataFolder(tmp_path), {})
    for secret in (keys.jwt_secret, keys.service_key, keys.console_key, keys.secret_key):
        assert secret not in repr(keys)


def test_a_setting_is_passed_on_once() -> None:
    """The service rejects one that is set both by value and by file."""
    environ = {"JWT_SECRET_FILE": "/x", "DEBOUNCE_ONLINE_SECONDS": "1", "SERVICE_KEY": "old"}
    replaced = {"JWT_SECRET": "a", "SERVICE_KEY": "b"}
    assert credentials.without_files(environ, replaced) == {"DEBOUNCE_ONLINE_SECONDS": "1", **replaced}
