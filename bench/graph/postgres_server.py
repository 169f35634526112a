"""A private PostgreSQL server for one run, in a temporary folder with its socket. Installed when missing."""

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
    # Sized for a fair comparison: everything cached, commits durable, no background work during a measurement.
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


class PostgresUnavailable(Exception):
    """There is no PostgreSQL; the message says why."""


@contextmanager
def running() -> Iterator[str]:
    """Start a new server and yield the folder of its socket. Stops it at the end, by its process id."""
    programs = _programs()
    root = Path(tempfile.mkdtemp(prefix="fp-pg-"))
    process_options = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    if process_options:
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
        subprocess.run(command, check=True, capture_output=True, cwd=root, **process_options)  # type: ignore[call-overload]
        options = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
        server = subprocess.Popen(  # type: ignore[call-overload]
            [programs / "postgres", "-D", data, "-k", root, *options],
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=(root / "log").open("wb"),
            **process_options,
        )
        try:
            _wait(root, programs)
            yield str(root)
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            server.wait(60)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _wait(root: Path, programs: Path) -> None:
    until = time.monotonic() + 30
    while subprocess.run([programs / "pg_isready", "-q", "-h", root], check=False).returncode:
        if time.monotonic() > until:
            raise PostgresUnavailable((root / "log").read_text("utf-8")[-500:])
        time.sleep(0.05)


def _programs() -> Path:
    """The folder of Debian's newest PostgreSQL. Installs it when there is none and this is root."""
    if not _installed() and os.geteuid() == 0 and shutil.which("apt-get"):
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *command], check=False, capture_output=True, env=environ)
    found = _installed()
    if not found:
        raise PostgresUnavailable("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


def _installed() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return sorted((path.parent for path in found), key=lambda path: int(path.parent.name))
