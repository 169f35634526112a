"""One data folder has one owner, and only its user can read its secrets."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local_stack.engines import data_folder
from local_stack.engines.data_folder import DataFolder, write_private
from local_stack.errors import AlreadyRunning, LostSecrets


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """256 bits, in a file of mode 0600."""
    old = os.umask(0)
    try:
        first = DataFolder(tmp_path).secret("neo4jPassword")
    finally:
        os.umask(old)
    assert DataFolder(tmp_path).secret("neo4jPassword") == first
    assert DataFolder(tmp_path).secret("jwtSecret") != first
    assert len(first) >= 43
    assert mode(tmp_path / "secrets.json") == 0o600


def test_a_lost_secret_of_a_database_is_not_replaced(tmp_path: Path) -> None:
    """A new password could not open the database."""
    (tmp_path / "database").mkdir()
    with pytest.raises(LostSecrets, match=r"secrets\.json"):
        DataFolder(tmp_path).secret("neo4jPassword", owner=tmp_path / "database")


def test_a_private_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A world-readable file becomes private; no draft stays."""
    path = tmp_path / "file.json"
    path.write_text("{}")
    path.chmod(0o644)
    write_private(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


async def test_a_second_owner_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    """And the message says how to stop it."""
    folder = DataFolder(tmp_path)
    async with folder.owned():
        folder.write_state({"servers": [{"name": "Neo4j", "address": "127.0.0.1:1"}]})
        assert folder.running_pid() == os.getpid()
        with pytest.raises(
            AlreadyRunning, match=rf"{os.getpid()}, Neo4j at 127.0.0.1:1.*engines down --data"
        ):
            await folder.acquire()
    assert folder.running_pid() is None
    (await folder.acquire()).close()


OWNER = """
import asyncio, subprocess, sys
from pathlib import Path
from local_stack.engines.data_folder import DataFolder
lock = asyncio.run(DataFolder(Path(sys.argv[1])).acquire())
subprocess.Popen(["sleep", "1"], pass_fds=(lock.descriptor,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("taken", flush=True)
"""


def owner_that_crashed(data: Path) -> None:
    """A crashed owner whose engine runs for another second."""
    subprocess.run([sys.executable, "-c", OWNER, str(data)], check=True, capture_output=True)


async def test_engines_that_outlive_their_owner_are_waited_for(tmp_path: Path) -> None:
    """They keep the lock until they have ended."""
    owner_that_crashed(tmp_path)
    began = time.monotonic()
    lock = await DataFolder(tmp_path).acquire()
    assert 0.5 < time.monotonic() - began < 10
    lock.close()


async def test_waiting_for_engines_that_never_end_times_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message then names no process."""
    monkeypatch.setattr(data_folder, "LOCK_TIMEOUT_SECONDS", 0.2)
    owner_that_crashed(tmp_path)
    with pytest.raises(AlreadyRunning, match="unknown"):
        await DataFolder(tmp_path).acquire()


async def test_a_state_file_without_a_lock_means_nothing_runs(tmp_path: Path) -> None:
    """A crash left it; another process may have its id now."""
    folder = DataFolder(tmp_path)
    (await folder.acquire()).close()
    folder.write_state({"ready": True})
    assert folder.running_pid() is None
    assert await folder.stop_running() is None
