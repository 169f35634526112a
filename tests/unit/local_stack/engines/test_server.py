"""A server's start returns when it is ready, or fails with the reason and its log."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_stack.engines import server as servers
from local_stack.engines.ports import free_port, is_free
from local_stack.engines.process import Program
from local_stack.engines.server import NotReadyYet, Server
from local_stack.errors import NotReady, PortTaken

LISTENER = """
import socket, sys
print("listening soon", flush=True)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()
"""
DIES = "print('the reason why'); raise SystemExit(4)"
WAITS = "import time; print('still thinking', flush=True); time.sleep(60)"


@dataclass
class Listener:
    """An engine of a few lines of Python."""

    log: Path
    code: str = LISTENER

    name = "listener"
    port_option = "--listener-port"
    todo = "Give it up."

    async def prepare(self, port: int) -> Program:
        return Program(name=self.name, command=(sys.executable, "-c", self.code, str(port)), log=self.log)

    async def ask(self, port: int) -> str:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            raise NotReadyYet(error.strerror or "") from error
        return "listener 1"


async def test_a_started_server_is_ready_and_a_stopped_one_frees_its_port(tmp_path: Path) -> None:
    """On a free port that it chooses."""
    server = Server(Listener(tmp_path / "log"))
    await server.start()
    assert server.agent == "listener 1"
    assert not is_free(server.port)
    await server.stop()
    assert is_free(server.port)


async def test_a_killed_server_comes_back_on_the_same_port(tmp_path: Path) -> None:
    server = Server(Listener(tmp_path / "log"))
    await server.start()
    port, pid = server.port, server.pid
    await server.kill()
    with pytest.raises(ProcessLookupError):
        _ = server.pid
    await server.start()
    assert (server.port, server.pid != pid) == (port, True)
    await server.stop()


async def test_a_port_that_is_taken_is_reported_before_anything_starts(tmp_path: Path) -> None:
    """The message has the option for another port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Server(Listener(tmp_path / "log"), port=port)
        with pytest.raises(PortTaken, match=rf"{port}.*listener.*--listener-port"):
            await server.start()
    assert not (tmp_path / "log").exists()


async def test_a_free_port_that_is_taken_before_it_is_bound_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process binds it between choosing and listening."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        choices = [other.getsockname()[1], free_port()]
        monkeypatch.setattr(servers, "free_port", lambda: choices.pop(0))
        engine = Listener(tmp_path / "log")

        async def ask(port: int) -> str:
            if port == other.getsockname()[1]:
                raise NotReadyYet("not ours")
            return await Listener.ask(engine, port)

        engine.ask = ask  # type: ignore[method-assign]
        server = Server(engine)
        await server.start()
        assert server.port != other.getsockname()[1]
        await server.stop()


async def test_a_server_that_ends_at_once_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    """And with its exit code and the advice."""
    server = Server(Listener(tmp_path / "log", DIES))
    with pytest.raises(NotReady, match=r"(?s)listener.*exit code 4.*Give it up.*the reason why"):
        await server.start()


async def test_a_server_that_never_answers_is_reported_with_its_last_lines_and_stopped(
    tmp_path: Path,
) -> None:
    """After the timeout, with the last reason."""
    server = Server(Listener(tmp_path / "log", WAITS), ready_timeout_seconds=1.0)
    with pytest.raises(NotReady, match=r"(?s)does not answer after 1 s.*refused.*still thinking"):
        await server.start()
    with pytest.raises(ProcessLookupError):
        _ = server.pid
