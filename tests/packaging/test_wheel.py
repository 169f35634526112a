"""The wheel in a new environment: it is complete, its extra `local` suffices, and `up` starts everything.

The wheel is built from the sdist, so the sdist is complete too. Versions are those of `requirements/run.txt`. The
checkout is not reachable: another folder, another interpreter, no PYTHONPATH. Neo4j's jars come from the user's cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV", "NEO4J_URI", "REDIS_URL", "WEB_LIBRARIES")
ENVIRON = {name: value for name, value in os.environ.items() if name not in HIDDEN}

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(400)]


def run(*command: str | Path, cwd: Path, environ: dict[str, str] = ENVIRON) -> str:
    """Run a command and return its output; a failure shows all of it."""
    ran = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, then the wheel from the sdist alone."""
    out = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", out, ROOT, cwd=out)
    assert list(out.glob("*.tar.gz"))
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed commands."""
    place = tmp_path_factory.mktemp("clean")
    run(UV, "venv", "--python", sys.executable, place / "venv", cwd=place)
    run(
        *(UV, "pip", "install", "--python", place / "venv" / "bin" / "python"),
        *("--constraint", ROOT / "requirements" / "run.txt", f"{wheel}[local]"),
        cwd=place,
    )
    return place / "venv" / "bin"


@pytest.fixture(scope="module")
def stack(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """``friends-presence up`` in an empty folder, ended by SIGTERM."""
    place = tmp_path_factory.mktemp("empty")
    with (place / "up.log").open("wb") as log:
        command: list[str | Path] = [
            installed / "friends-presence",
            "up",
            "--people",
            "30",
            "--json",
            "stack.json",
        ]
        process = subprocess.Popen(command, cwd=place, env=alone(installed), stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 270
            while not (place / "stack.json").exists():
                assert process.poll() is None, (place / "up.log").read_text()
                assert time.monotonic() < deadline, (place / "up.log").read_text()
                time.sleep(0.1)
            yield json.loads((place / "stack.json").read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def alone(installed: Path) -> dict[str, str]:
    """An environment with only the wheel's commands and the system's."""
    return ENVIRON | {"PATH": f"{installed}:/usr/bin:/bin"}


def got(address: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of a GET."""
    asked = urllib.request.Request(address, headers={k.replace("_", "-"): v for k, v in headers.items()})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.status, answer.read()


def test_the_wheel_holds_every_file_that_is_no_python(wheel: Path) -> None:
    """Queries, migrations, pages, schemas, lock files and py.typed markers, as many as the checkout has."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    folders = {"cypher": "*.cypher", "migrations": "*.cypher", "web": "*", "docs/schemas": "*.json"}
    for folder, pattern in folders.items():
        target = f"graph_service/_data/{Path(folder).name}"
        wanted = {
            f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
            for path in (ROOT / folder).rglob(pattern)
            if path.is_file()
        }
        assert wanted
        assert wanted <= inside
    assert {
        "local_stack/jars/neo4j.lock",
        "local_stack/stack/web.lock",
        "pubnub_bridge/sizing/prices.toml",
    } <= inside
    assert {f"{package}/py.typed" for package in ("graph_service", "pubnub_bridge", "local_stack")} <= inside
    assert not any(name.startswith(("tests/", "bench/", "chaos/")) for name in inside)
    assert not any(name.endswith(".jar") or "pubnub.min.js" in name for name in inside)


def test_the_version_is_the_changelogs(installed: Path) -> None:
    """A semantic version, and the newest section of the changelog."""
    version = run(installed / "friends-presence", "--version", cwd=installed).strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    sections = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections[0] == version


def test_a_shell_completes_the_commands_of_all_packages(installed: Path) -> None:
    """Completion also has the commands that come by entry point."""
    environ = alone(installed) | {
        "_FRIENDS_PRESENCE_COMPLETE": "complete_bash",
        "COMP_WORDS": "friends-presence ",
        "COMP_CWORD": "1",
    }
    offered = run(installed / "friends-presence", cwd=installed, environ=environ).split()
    assert {"up", "serve", "migrate", "engines"} <= set(offered)


def test_up_is_ready_and_its_pages_have_their_libraries(stack: dict[str, Any], installed: Path) -> None:
    """`up` from the wheel equals `make run`: API, pages, PubNub's SDK from npm's archive, demo people in the graph."""
    assert got(f"{stack['api']}/readyz")[0] == 200
    assert b"importmap" in got(f"{stack['api']}/")[1]
    assert json.loads(got(f"{stack['api']}/web/page.json")[1])["missing"] == []
    assert len(got(f"{stack['api']}/web/lib/pubnub/pubnub.min.js")[1]) > 100_000
    curl = shutil.which("curl")
    assert curl, "the README's examples need it too"
    key = f"X-Service-Key: {stack['serviceKey']}"
    body = '{"name": "Ann"}'
    said = run(
        *(curl, "-sS", "--fail-with-body", "-X", "PUT", f"{stack['api']}/v1/users/ann"),
        *("-H", key, "-H", "Content-Type: application/json", "-d", body),
        cwd=installed,
    )
    assert json.loads(said)["id"] == "ann"
