"""The pages' third-party files, there and whole. Knows a lock file, npm and the cache; serves nothing.

They are never part of this project: npm, with whatever registry this machine uses, brings each package once as the
archive that its publisher made; the lock file holds the SHA-512 of every archive and the files wanted of it. Archives
are verified at every start, and what is served is taken from verified archives alone.

A line of the lock file is ``package version sha512-… file [file …]``; lines that begin with # are for readers.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import BadWebLock, NoWebLibraries
from local_stack.jars import cache

LOCK_FILE = Path(__file__).with_name("web.lock")
NPM_TIMEOUT_SECONDS = 60.0
"""Seconds for npm; a machine without a network must not wait longer for its stack."""
MAX_FILE_BYTES = 16 * 2**20
"""Bytes of one file taken out of an archive."""
_LINE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]*) (?P<version>\d[\w.-]*) (?P<integrity>sha512-[\w+/=]+) (?P<files>\S.*)"
)


@dataclass(frozen=True)
class Package:
    """One package at one version."""

    name: str
    version: str
    integrity: str
    """As npm writes it (Subresource Integrity): ``sha512-`` and base64."""
    files: tuple[str, ...]
    """Paths inside the package."""

    @property
    def archive(self) -> str:
        """The archive's file name, as npm names it."""
        return f"{self.name}-{self.version}.tgz"

    def is_whole(self, folder: Path) -> bool:
        """Whether its archive is there and is the publisher's."""
        try:
            with (folder / self.archive).open("rb") as file:
                digest = hashlib.file_digest(file, "sha512").digest()
        except FileNotFoundError:
            return False
        return self.integrity == f"sha512-{base64.b64encode(digest).decode()}"


def read(path: Path = LOCK_FILE) -> list[Package]:
    """The packages of a lock file. Raises `BadWebLock` with the line's number."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        files = tuple(match["files"].split()) if match else ()
        if not match or any(".." in Path(file).parts or file.startswith("/") for file in files):
            raise BadWebLock(path=path, line=number)
        found.append(Package(match["name"], match["version"], match["integrity"], files))
    return found


def libraries_folder() -> Path:
    """Where archives and served files lie."""
    return cache.cache_folder() / "web"


async def ready(lock: Path = LOCK_FILE, folder: Path | None = None) -> Path:
    """The folder of the files, as ``package/file``; packages that are missing or broken are fetched first.

    Several processes may call this at once. Raises `NoWebLibraries` with the reason; what is there stays.
    """
    folder = folder or libraries_folder()
    packages = read(lock)
    async with cache.only_writer(folder):
        todo = [one for one in packages if not await asyncio.to_thread(one.is_whole, folder)]
        if todo:
            await _fetch(todo, folder)
        return await asyncio.to_thread(_laid_out, packages, folder)


async def _fetch(packages: list[Package], folder: Path) -> None:
    names = ", ".join(f"{one.name} {one.version}" for one in packages)
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    npm = shutil.which("npm", path=beside)
    if npm is None:
        raise NoWebLibraries(names=names, reason="npm is not installed", cache=folder)
    with tempfile.TemporaryDirectory(dir=folder) as into:
        command = [
            npm,
            "pack",
            "--ignore-scripts",
            "--loglevel=error",
            "--fetch-retries=1",
            *(f"{one.name}@{one.version}" for one in packages),
        ]
        reason = await _run(command, Path(into), {**os.environ, "PATH": beside})
        for one in packages:
            if reason or not one.is_whole(Path(into)):
                raise NoWebLibraries(
                    names=names,
                    reason=reason or f"{one.archive} is not the one of the lock file",
                    cache=folder,
                )
            (Path(into) / one.archive).replace(folder / one.archive)


async def _run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    """Why a command failed; empty when it did not."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, stderr = await asyncio.wait_for(process.communicate(), NPM_TIMEOUT_SECONDS)
    except TimeoutError:
        return f"npm has not finished after {NPM_TIMEOUT_SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "" if process.returncode == 0 else f"npm says: {stderr.decode(errors='replace').strip()[-300:]}"


def _laid_out(packages: list[Package], folder: Path) -> Path:
    """Takes the wanted files out of the archives, into a folder that only ever has this lock's files."""
    stamp = hashlib.sha256(repr(packages).encode()).hexdigest()[:16]
    served = folder / f"files-{stamp}"
    for package in packages:
        with tarfile.open(folder / package.archive) as archive:
            for file in package.files:
                _take(archive, f"package/{file}", served / package.name / Path(file).name, folder)
    return served


def _take(archive: tarfile.TarFile, member: str, target: Path, folder: Path) -> None:
    found = archive.extractfile(member)
    if found is None:
        raise NoWebLibraries(names=member, reason="the archive has no such file", cache=folder)
    body = found.read(MAX_FILE_BYTES)
    if target.exists() and target.read_bytes() == body:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(body)
    part.replace(target)
