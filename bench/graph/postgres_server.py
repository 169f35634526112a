"""A PostgreSQL of its own for one run: installed when missing, in a temporary folder, on a socket there. Knows no question."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"
OPTIONS = {
    # A machine of its own size, for the fairest comparison: everything cached, commits durable, no background work
    # in the middle of a measurement.
    "listen_addresses": "",
    "shared_buffers": "1536MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "effective_cache_size": "4GB",
    "random_page_cost": "1.1",
    "max_connections": "100",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "jit": "off",
    "autovacuum": "off",
}


class NoPostgres(Exception):
    """Why there is none."""


@contextmanager
def running() -> Iterator[str]:
    """Starts a fresh server; yields the folder of its socket. Stops it at the end, by its process id."""
    programs = _programs()
    root = Path(tempfile.mkdtemp(prefix="fp-pg-"))
    given = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    if given:
        owner = pwd.getpwnam(USER)
        os.chown(root, owner.pw_uid, owner.pw_gid)
    try:
        data = root / "data"
        command = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "trust",
            "--locale=C.UTF-8",
            "-E",
            "UTF8",
        ]
        subprocess.run(command, check=True, capture_output=True, cwd=root, **given)  # type: ignore[call-overload]
        options = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
        server = subprocess.Popen(  # type: ignore[call-overload]
            [programs / "postgres", "-D", data, "-k", root, *options],
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=(root / "log").open("wb"),
            **given,
        )
        try:
            _wait(root, programs)
            yield str(root)
        finally:
            server.send_signal(signal.SIGINT)  # its "fast" stop
            server.wait(60)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _wait(root: Path, programs: Path) -> None:
    until = time.monotonic() + 30
    while subprocess.run([programs / "pg_isready", "-q", "-h", root], check=False).returncode:
        if time.monotonic() > until:
            raise NoPostgres((root / "log").read_text("utf-8")[-500:])
        time.sleep(0.05)


def _programs() -> Path:
    """The folder of Debian's newest PostgreSQL, which is installed when this is root and there is none."""
    if not _installed() and os.geteuid() == 0 and shutil.which("apt-get"):
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *command], check=False, capture_output=True, env=environ)
    found = _installed()
    if not found:
        raise NoPostgres("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


def _installed() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return sorted((path.parent for path in found), key=lambda path: int(path.parent.name))
