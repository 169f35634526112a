"""Which Java is used, and the message when none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.engines import java
from local_stack.errors import NoJava, WrongJava

NEO4J = "5.26.28"


def installed(home: Path, version: str) -> Path:
    """The files of a Java installation that are read."""
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.touch(mode=0o755)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without the extra 'local'."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


def test_the_wheel_brings_a_fitting_java() -> None:
    """With the extra 'local' no other Java is needed."""
    found = java.find(NEO4J, {})
    assert found.major == 21
    assert found.command.is_file()


def test_a_configured_java_is_used(tmp_path: Path) -> None:
    home = installed(tmp_path, "17.0.15")
    assert java.find(NEO4J, {"NEO4J_JAVA_HOME": str(home)}).home == home


def test_a_configured_java_of_a_wrong_version_is_refused(tmp_path: Path) -> None:
    """The message has its version and the supported ones."""
    home = installed(tmp_path, "1.8.0_402")
    with pytest.raises(WrongJava, match=r"is Java 8, Neo4j 5.26.28 needs Java 17 or 21"):
        java.find(NEO4J, {"NEO4J_JAVA_HOME": str(home)})


def test_a_java_home_without_java_is_refused(tmp_path: Path) -> None:
    """For example a folder that has been removed."""
    with pytest.raises(WrongJava, match="not there"):
        java.find(NEO4J, {"NEO4J_JAVA_HOME": str(tmp_path)})


@pytest.mark.usefixtures("no_wheel")
def test_without_the_wheel_java_home_and_then_the_path_are_looked_at(tmp_path: Path) -> None:
    """One of an unsupported version is skipped."""
    old, fitting = installed(tmp_path / "old", "11.0.2"), installed(tmp_path / "new", "21.0.8")
    found = java.find(NEO4J, {"JAVA_HOME": str(old), "PATH": str(fitting / "bin")})
    assert found == java.Java(fitting, 21)


@pytest.mark.usefixtures("no_wheel")
def test_without_a_fitting_java_the_message_says_what_was_seen_and_what_to_do(tmp_path: Path) -> None:
    old = installed(tmp_path, "11.0.2")
    with pytest.raises(NoJava, match=r"(?s)Java 17 or 21.*is Java 11.*pip install") as caught:
        java.find(NEO4J, {"JAVA_HOME": str(old), "PATH": ""})
    assert str(old) in str(caught.value)


def test_calendar_releases_need_a_newer_java() -> None:
    """By Neo4j's manual."""
    assert java.wanted("5.26.28") == (17, 21)
    assert java.wanted("2026.09.0") == (21, 25)
