"""Neo4j Community from its jars: home folder, configuration, command line, readiness. No graph model.

Sources: Neo4j operations manual (file locations, configuration settings, the shipped neo4j.conf); start by main class
as recorded on 5.26.28. Unknown or repeated keys stop the server (strict validation), so each below is needed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graph_service.errors import FriendsError
from local_stack.engines import java
from local_stack.engines.data_folder import DataFolder
from local_stack.engines.memory import MIB, Memory, of_machine, shared_out
from local_stack.engines.ports import LOOPBACK
from local_stack.engines.process import Program
from local_stack.engines.server import NotReadyYet
from local_stack.errors import NoSpace, NotReady
from local_stack.jars import jars, lockfile

USER = "neo4j"
MAIN_CLASSES = ("org/neo4j/server/CommunityEntryPoint", "org/neo4j/server/Neo4jCommunity")
"""Of 5.x and of the calendar releases; `main_class` reads from the jar which one a version has."""
ADMIN_CLASS = "org.neo4j.cli.AdminTool"
MIN_FREE_BYTES = 512 * MIB
"""Required to start: transaction logs are allocated in pieces of 256 MiB."""

JVM_FLAGS = (
    # Those of the shipped neo4j.conf, which only its own launcher reads; without AlwaysPreTouch, which touches
    # the whole heap at the start.
    "-XX:+UseG1GC",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+TrustFinalNonStaticFields",
    "-XX:+DisableExplicitGC",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Djdk.tls.ephemeralDHKeySize=2048",
    "-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    "-XX:FlightRecorderOptions=stackdepth=256",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:+DebugNonSafepoints",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "-Dlog4j2.disable.jmx=true",
    "-Dfile.encoding=UTF-8",
)


@dataclass
class Neo4jEngine:
    """Runs one Neo4j on a data folder (an `Engine`)."""

    data: DataFolder
    lock: lockfile.Lock = field(default_factory=lockfile.read)
    memory: Memory = field(default_factory=lambda: shared_out(of_machine()))
    inherited_fds: tuple[int, ...] = ()
    jvm_flags: tuple[str, ...] = ()
    """Placed after `JVM_FLAGS`, so that they override them."""

    name = "Neo4j"
    port_option = "--neo4j-port"

    @property
    def home(self) -> Path:
        """NEO4J_HOME: conf, data, logs."""
        return self.data.root / "neo4j"

    @property
    def log(self) -> Path:
        """Neo4j's log, which Neo4j rotates."""
        return self.home / "logs" / "neo4j.log"

    @property
    def todo(self) -> str:
        return (
            "Too little memory: set NEO4J_HEAP and NEO4J_PAGE_CACHE (MiB). A full disk: free some."
            f" Data of another version, or broken: move {self.home} away."
        )

    @property
    def password(self) -> str:
        """Generated once and stored in the data folder."""
        return self.data.secret("neo4jPassword", owner=self.home / "data" / "databases")

    async def prepare(self, port: int) -> Program:
        """Fetch jars, find Java, write home folder, configuration and password."""
        paths = await jars.ready_jars(self.lock)
        found = java.find(self.lock.version)
        await asyncio.to_thread(self._make_home, port)
        if not (self.home / "data" / "databases").exists():
            await self._set_password(found, paths)
        heap = (f"-Xms{min(256, self.memory.heap)}m", f"-Xmx{self.memory.heap}m")
        home = (f"--home-dir={self.home}", f"--config-dir={self.home / 'conf'}")
        arguments = (*heap, *JVM_FLAGS, *self.jvm_flags, "-cp", _joined(paths), main_class(paths), *home)
        return Program(
            name=self.name,
            command=[found.command, f"@{self._argument_file('start', arguments)}"],
            log=self.home / "logs" / "console.log",
            environ=self._environ(),
            inherited_fds=self.inherited_fds,
        )

    async def ask(self, port: int) -> str:
        """Ready when a query over Bolt succeeds; see `local_stack.engines.probe`."""
        if not await asyncio.to_thread(_listens, port):
            raise NotReadyYet("it does not listen yet")
        from local_stack.engines import probe  # noqa: PLC0415 - imports the driver, 0.3 s, while the engine starts

        try:
            return await probe.graph(self.uri(port), USER, self.password)
        except FriendsError as error:
            raise NotReadyYet(str(error)) from error

    @staticmethod
    def uri(port: int) -> str:
        return f"bolt://{LOOPBACK}:{port}"

    def _make_home(self, port: int) -> None:
        for name in ("conf", "data", "logs", "run", "import", "plugins"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        if (free := shutil.disk_usage(self.home).free) < MIN_FREE_BYTES:
            raise NoSpace(
                path=self.home, needed_mb=MIN_FREE_BYTES // MIB, free_mb=free // MIB, option="--data"
            )
        text = "".join(f"{key}={value}\n" for key, value in configuration(port, self.memory).items())
        (self.home / "conf" / "neo4j.conf").write_text(text, encoding="utf-8")

    async def _set_password(self, found: java.Java, paths: Sequence[Path]) -> None:
        """Set it before the first start, as the manual requires, through a file, so the process list does not show it."""
        (self.home / "data" / "dbms" / "auth.ini").unlink(missing_ok=True)
        command = ("dbms", "set-initial-password", self.password)
        # This Java runs for seconds: the cheapest compiler and collector, a small heap.
        flags = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m")
        file = self._argument_file("password", (*flags, "-cp", _joined(paths), ADMIN_CLASS, *command))
        try:
            run = await asyncio.create_subprocess_exec(
                found.command,
                f"@{file}",
                env=self._environ(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await run.communicate()
        finally:
            file.unlink()
        if run.returncode:
            text = output.decode(errors="replace").replace(self.password, "…")
            reason = f"its password could not be set (exit code {run.returncode})"
            raise NotReady(engine=self.name, reason=reason, todo=self.todo, log="its output", tail=text)

    def _argument_file(self, name: str, arguments: Sequence[str]) -> Path:
        """Write an argument file of the java launcher (JDK tool specification): 214 paths do not fit a command line."""
        file = self.home / "run" / f"{name}.args"
        file.touch(mode=0o600)
        quoted = ('"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in arguments)
        file.write_text("\n".join(quoted) + "\n", encoding="utf-8")
        return file

    def _environ(self) -> dict[str, str]:
        """This process's environment without the variables that would change the server's configuration or JVM."""
        ours = {"NEO4J_HOME": str(self.home), "NEO4J_CONF": str(self.home / "conf")}
        dropped = ("NEO4J_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
        return {key: value for key, value in os.environ.items() if not key.startswith(dropped)} | ours


def configuration(port: int, memory: Memory) -> dict[str, str]:
    """neo4j.conf: loopback only, no telemetry, a timeout for every query and lock."""
    return {
        "server.bolt.listen_address": f"{LOOPBACK}:{port}",
        "server.bolt.advertised_address": f"{LOOPBACK}:{port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        "server.bolt.telemetry.enabled": "false",
        "dbms.usage_report.enabled": "false",
        "server.memory.heap.initial_size": f"{min(256, memory.heap)}m",
        "server.memory.heap.max_size": f"{memory.heap}m",
        "server.memory.pagecache.size": f"{memory.page_cache}m",
        "db.memory.transaction.max": f"{max(128, memory.heap // 3)}m",
        "db.transaction.timeout": "120s",
        "db.lock.acquisition.timeout": "5s",
        # Otherwise a stop waits 2 x 5 s for Bolt threads although every connection is closed and everything is on disk.
        "internal.server.bolt.thread_pool_shutdown_wait_time": "100ms",
        "db.tx_log.rotation.retention_policy": "2 days 1G",
    }


def main_class(paths: Sequence[Path]) -> str:
    """The server's main class, looked up in the product's jar: its name changed with the calendar releases."""
    product = next(
        path for path in paths if path.parent.parent.name == "neo4j" and path.name.startswith("neo4j-")
    )
    with zipfile.ZipFile(product) as archive:
        names = set(archive.namelist())
    found = next(name for name in MAIN_CLASSES if f"{name}.class" in names)
    return found.replace("/", ".")


def _joined(paths: Sequence[Path]) -> str:
    return os.pathsep.join(map(str, paths))


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
