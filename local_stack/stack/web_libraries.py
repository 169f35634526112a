"""Fetch and verify the pages' third-party files, which are never part of this project.

npm, with the registry that this machine is configured for, fetches each package once, as its publisher's archive. The
lock file holds the SHA-512 of every archive and the files to take from it. Archives are verified at every start, and
only files from verified archives are served.

A line of the lock file is ``package version sha512-… file [file …]``; lines that begin with # are comments.
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
"""A machine without a network must not wait longer for its stack."""
MAX_FILE_BYTES = 16 * 2**20
"""Size limit of one extracted file."""
_LINE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]*) (?P<version>\d[\w.-]*) (?P<integrity>sha512-[\w+/=]+) (?P<files>\S.*)"
)


@dataclass(frozen=True, kw_only=True)
class Package:
    """One line of the lock file."""

    name: str
    version: str
    integrity: str
    """As npm writes it (Subresource Integrity): ``sha512-`` and base64."""
    files: tuple[str, ...]
    """Paths inside the package."""

    @property
    def archive(self) -> str:
        """The archive's file name (npm's convention)."""
        return f"{self.name}-{self.version}.tgz"

    def is_whole(self, folder: Path) -> bool:
        """Whether its archive is there and has the locked SHA-512."""
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
        found.append(
            Package(name=match["name"], version=match["version"], integrity=match["integrity"], files=files)
        )
    return found


def libraries_folder() -> Path:
    """Folder of the archives and of the extracted files."""
    return cache.cache_folder() / "web"


async def ready(lock: Path = LOCK_FILE, folder: Path | None = None) -> Path:
    """The folder of the files, as ``package/file``; missing or broken packages are fetched first.

    Safe to call from several processes at once. Raises `NoWebLibraries` with the reason; existing files stay.
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
    search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    npm = shutil.which("npm", path=search_path)
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
        reason = await _run(command, Path(into), {**os.environ, "PATH": search_path})
        for one in packages:
            if reason or not one.is_whole(Path(into)):
                raise NoWebLibraries(
                    names=names,
                    reason=reason or f"{one.archive} is not the one of the lock file",
                    cache=folder,
                )
            (Path(into) / one.archive).replace(folder / one.archive)


async def _run(command: list[str], folder: Path, environ: dict[str, str]) -> str:
    """Why a command failed; empty when it succeeded."""
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
    """Extract the wanted files into a folder that is named after this lock file, so it never has another's files."""
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
