"""The pages' third-party files: only complete ones are served, they are fetched once, and a missing network is reported."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from local_stack.errors import BadWebLock, NoWebLibraries
from local_stack.stack import web_libraries


def archive(folder: Path, body: bytes = b"export {};") -> str:
    """A package's archive as npm stores it; returns its integrity."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("package/dist/thing.js")
        entry.size = len(body)
        tar.addfile(entry, io.BytesIO(body))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thing-1.0.0.tgz").write_bytes(packed.getvalue())
    return "sha512-" + base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()


def lock(folder: Path, integrity: str, file: str = "dist/thing.js") -> Path:
    """A lock file of one package."""
    path = folder / "web.lock"
    path.write_text(f"# for readers\nthing 1.0.0 {integrity} {file}\n")
    return path


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """npm exists and fails, as without a network."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho no route to the registry >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr("local_stack.stack.web_libraries.sys.executable", str(npm.parent / "python"))


async def test_complete_files_need_no_network(tmp_path: Path) -> None:
    integrity = archive(tmp_path / "cache")
    for _ in range(2):
        served = await web_libraries.ready(lock(tmp_path, integrity), tmp_path / "cache")
        assert (served / "thing" / "thing.js").read_bytes() == b"export {};"


async def test_a_changed_archive_is_not_used(tmp_path: Path) -> None:
    """It is fetched again, and without a network the message contains npm's output."""
    integrity = archive(tmp_path / "cache")
    archive(tmp_path / "cache", b"something else")
    with pytest.raises(NoWebLibraries, match="no route to the registry"):
        await web_libraries.ready(lock(tmp_path, integrity), tmp_path / "cache")


async def test_a_changed_file_is_restored(tmp_path: Path) -> None:
    """Files are taken from verified archives at every start."""
    path = lock(tmp_path, archive(tmp_path / "cache"))
    served = await web_libraries.ready(path, tmp_path / "cache")
    (served / "thing" / "thing.js").write_text("evil")
    await web_libraries.ready(path, tmp_path / "cache")
    assert (served / "thing" / "thing.js").read_bytes() == b"export {};"


@pytest.mark.parametrize("line", ["thing 1.0.0 sha256-abc x.js", "thing 1.0.0 sha512-abc= ../x.js", "thing"])
def test_a_bad_lock_file_is_reported_with_its_line(tmp_path: Path, line: str) -> None:
    """Nothing is fetched by a guess."""
    path = tmp_path / "web.lock"
    path.write_text(f"\n{line}\n")
    with pytest.raises(BadWebLock, match="line 2"):
        web_libraries.read(path)


def test_the_lock_file_names_no_registry() -> None:
    """The registry is that of this machine's npm."""
    assert "http" not in web_libraries.LOCK_FILE.read_text()
    assert {one.name for one in web_libraries.read()} == {"pubnub", "uplot", "cytoscape"}
