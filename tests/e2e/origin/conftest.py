"""Official clients and their origin: Python's in this process, JavaScript's as node processes.

The npm packages are installed once into the user's cache folder, at exactly the versions of `js/package.json`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from local_stack.origin.app import Options, Running, start
from local_stack.origin.settings import KeysetSettings, PresenceSettings

JS = Path(__file__).parent / "js"
BESIDE_PYTHON = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "friends-presence"

Node = Callable[..., Coroutine[Any, Any, list[str]]]


@pytest.fixture
async def origin() -> AsyncIterator[Running]:
    """A new origin on the machine's clock; a defect in it fails the test."""
    presence = PresenceSettings(announce_max=3, interval_s=1.0)
    running = await start(Options(settings=KeysetSettings(presence=presence), control=True))
    yield running
    await running.close()
    assert running.origin.errors == 0


@pytest.fixture(scope="session")
async def packages() -> Path:
    """The folder whose `node_modules` has the official JavaScript clients; installs them if necessary."""
    manifest = (JS / "package.json").read_bytes()
    folder = CACHE / f"js-{hashlib.sha256(manifest).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        npm = shutil.which("npm", path=BESIDE_PYTHON)
        if npm is None:
            pytest.skip("npm is not installed: the official JavaScript clients cannot be fetched")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_bytes(manifest)
        install = await asyncio.create_subprocess_exec(
            npm,
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
            cwd=folder,
            env={**os.environ, "PATH": BESIDE_PYTHON},
        )
        assert await install.wait() == 0, "npm could not install the official JavaScript clients"
        (folder / "complete").touch()
    return folder


@pytest.fixture
async def node(packages: Path) -> Node:
    """Run a file of `js/` and return the steps that passed: `await node("x.mjs", "127.0.0.1:8090", "pubnub11")`."""

    async def run(script: str, address: str, client: str = "pubnub") -> list[str]:
        process = await asyncio.create_subprocess_exec(
            shutil.which("node", path=BESIDE_PYTHON) or "node",
            str(JS / script),
            env={
                **os.environ,
                "PATH": BESIDE_PYTHON,
                "PACKAGES": str(packages),
                "CLIENT": client,
                "ORIGIN": address,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), 100)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, out.decode()[-6000:]
        return out.decode().splitlines()

    return run
