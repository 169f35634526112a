"""System under test: a private ejabberd node from Debian's package, and its clients.

The system's own service is never used. All listeners are on loopback, and the node is ended by its process id.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench.peers.arrivals import Arrivals
from bench.peers.friends import Friends
from bench.peers.system import NOT_IN_TRACE, System
from bench.peers.xmpp import Client, StanzaListener
from local_stack.engines.ports import free_port

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's switch that prevents the start of a package's service."""
LOGIN_TIMEOUT_SECONDS = 60.0
MAX_CONCURRENT_LOGINS = 300
"""Concurrent logins in a storm; more make it slower."""
CONFIGURATION = """\
hosts: [localhost]
loglevel: error
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: false, shaper: none, backlog: 1024,
     max_stanza_size: 65536}}
auth_method: internal
auth_password_format: plain
auth_use_cache: true
auth_cache_size: infinity
s2s_access: none
modules:
  mod_roster: {{db_type: mnesia, use_cache: true, cache_size: infinity, cache_life_time: infinity, versioning: false}}
"""
ERL = [
    *("erl", "-sname", "peers@localhost", "-noinput", "+K", "true", "+P", "250000"),
    # Idle schedulers sleep instead of spinning, so that CPU time is work and the clients get their share.
    *("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"),
    *("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-start_epmd", "false"),
]


class EjabberdUnavailable(Exception):
    """There is no ejabberd; the message says why."""


class Ejabberd(System):
    """The node and its clients."""

    name = "ejabberd"

    def __init__(self, *, pid: int, port: int, users: int) -> None:
        super().__init__(Arrivals(users))
        self.listener = StanzaListener(self.arrivals, time.monotonic)
        self._pid, self._port = pid, port
        self._clients: dict[int, Client] = {}
        self._generation = 1
        self._login_slots = asyncio.Semaphore(MAX_CONCURRENT_LOGINS)

    async def join(self, user: int, number: int = NOT_IN_TRACE, fresh: bool = True) -> None:
        """See `System`."""
        self.listener.views = self.views
        async with self._login_slots:
            loop, client = (
                asyncio.get_running_loop(),
                Client(listener=self.listener, user=user, generation=self._generation, number=number),
            )
            async with asyncio.timeout(LOGIN_TIMEOUT_SECONDS):
                await loop.create_connection(lambda: client, "127.0.0.1", self._port)
                await client.ready
            self._clients[user] = client

    async def leave(self, user: int, number: int = NOT_IN_TRACE) -> None:
        """See `System`."""
        if client := self._clients.pop(user, None):
            client.leave(number)

    def drop(self, users: Iterable[int]) -> None:
        """See `System`."""
        for one in users:
            if client := self._clients.pop(one, None):
                client.drop()
        self._generation += 1

    def pids(self) -> Mapping[str, int]:
        """See `System`."""
        return {"ejabberd": self._pid}


@asynccontextmanager
async def running(folder: Path, friends: Friends) -> AsyncIterator[Ejabberd]:
    """A new node with all rosters. Raises `EjabberdUnavailable`."""
    libraries = await asyncio.to_thread(_libraries)
    _write_friends(folder / "friends.bin", friends)
    port = free_port()
    (folder / "ejabberd.yml").write_text(CONFIGURATION.format(port=port), encoding="utf-8")
    node = await asyncio.to_thread(_start, folder, libraries)
    try:
        await _ready(folder, node)
        made = Ejabberd(pid=node.pid, port=port, users=len(friends.of))
        yield made
        made.drop(range(len(friends.of)))
    finally:
        node.terminate()
        try:
            await asyncio.to_thread(node.wait, 20)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


def version() -> str:
    """Version of the package, such as ``23.01-1``."""
    return _output("dpkg-query", "-W", "-f", "${Version}", "ejabberd")


def _start(folder: Path, libraries: Path) -> subprocess.Popen[bytes]:
    (folder / "spool").mkdir()
    source = Path(__file__).with_name("rosters.erl")
    subprocess.run(["erlc", "-o", folder, source], check=True)
    ebin = next(libraries.glob("ejabberd-*/ebin"))
    command = [*ERL, "-erl_epmd_port", str(free_port()), "-pa", str(folder), str(ebin)]
    command += ["-mnesia", "dir", f'"{folder / "spool"}"', "-s", "ejabberd", "-s", "rosters", "run"]
    environ = os.environ | {
        "ERL_LIBS": str(libraries),
        "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
        "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
        "ERL_MAX_PORTS": "65000",
        "ERL_CRASH_DUMP_BYTES": "0",
        "PEERS_FOLDER": str(folder),
        "HOME": str(folder),
    }
    with (folder / "node.log").open("wb") as out:
        return subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )


async def _ready(folder: Path, node: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 240
    while not (folder / "ready").exists():
        if node.poll() is not None or time.monotonic() > until:
            raise EjabberdUnavailable((folder / "node.log").read_text(errors="replace")[-600:])
        await asyncio.sleep(0.2)


def _write_friends(path: Path, friends: Friends) -> None:
    numbers = array("I", [len(friends.of)])
    for one in friends.of:
        numbers.append(len(one))
        numbers.extend(sorted(one))
    if sys.byteorder != "little":
        numbers.byteswap()
    path.write_bytes(numbers.tobytes())


def _libraries() -> Path:
    """The folder of Erlang libraries that contains ejabberd. Installs it when it is missing and this is root."""
    if not _found() and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
    found = _found()
    if not found:
        raise EjabberdUnavailable(
            "ejabberd is not installed: apt-get install ejabberd (as root this benchmark does it)"
        )
    return found


def _found() -> Path | None:
    with suppress(OSError, subprocess.CalledProcessError):
        listed = _output("dpkg", "-L", "ejabberd").splitlines()
        beams = [Path(line) for line in listed if line.endswith("/ebin/ejabberd_app.beam")]
        return beams[0].parent.parent.parent if beams else None
    return None


def _install() -> None:
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "ejabberd"]):
            subprocess.run(["apt-get", *words], check=False, capture_output=True, env=environ)
    finally:
        if ours:
            POLICY.unlink()


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
