"""The graph's contract suite passes against a Neo4j that testcontainers started."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from testcontainers.community.neo4j import Neo4jContainer

from local_stack.engines.data_folder import DataFolder
from local_stack.engines.server import Server
from local_stack.engines.valkey_server import ValkeyEngine

ROOT = Path(__file__).resolve().parents[2]
SUITE = (
    "tests/contract/test_friends.py",
    "tests/contract/test_flags.py",
    "tests/contract/test_users.py",
    "tests/contract/test_migrations.py",
    "tests/contract/test_plans.py",
)
MIN_TESTS = 20
"""Fewer would mean that the suite was not found."""

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


async def test_the_contract_suite_passes_in_a_container(
    container: Neo4jContainer, neo4j_image: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same files, with NEO4J_URI set to the container."""
    valkey = ValkeyEngine(DataFolder(tmp_path))
    queue = Server(valkey)
    await queue.start()
    environ = {
        "NEO4J_URI": container.get_connection_url(),
        "NEO4J_USER": container.username,
        "NEO4J_PASSWORD": container.password,
        "REDIS_URL": valkey.url(queue.port),
    }
    try:
        last = await passes(SUITE, environ, MIN_TESTS)
    finally:
        await queue.stop()
    with capfd.disabled():
        print(f"\n{neo4j_image} at {environ['NEO4J_URI']}: {last}")


async def passes(files: Sequence[str], environ: Mapping[str, str], least: int) -> str:
    """Run these files in a new process: all must pass, and at least `least` tests; returns its last output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=500", *files),
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    text = said.decode()
    assert process.returncode == 0, text
    passed = re.search(r"(\d+) passed", text)
    assert passed, text
    assert int(passed[1]) >= least, text
    return text.splitlines()[-1]
