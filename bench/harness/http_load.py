"""A minimal HTTP client with as little CPU as possible, so that measurements are those of the server.

One request at a time on one open connection; responses need a Content-Length. Also reads a process's CPU time and memory
from the kernel.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Connection(asyncio.Protocol):
    """One open connection. `get` and `ask` send the next request and resolve to the body of its response."""

    def __init__(self) -> None:
        self.status = 0
        """Status of the last response."""
        self.closed = False
        self._buffer = b""
        self._response: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Connect to a port of this machine."""
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._response is not None and not self._response.done():
            self._response.set_exception(exc or ConnectionResetError("closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.index(b"Content-Length: ") + 16
        end = head + 4 + int(self._buffer[at : self._buffer.index(b"\r\n", at)])
        if len(self._buffer) >= end and self._response is not None:
            self.status = int(self._buffer[9:12])
            body, self._buffer = self._buffer[head + 4 : end], self._buffer[end:]
            response, self._response = self._response, None
            if not response.done():
                response.set_result(body)

    def get(self, path: str) -> asyncio.Future[bytes]:
        """Send a GET; resolves to the body of the response."""
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send an encoded request; resolves to the body of the response and sets `status`."""
        assert self._transport is not None
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._response

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used so far, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_kb(pid: int) -> int:
    """Resident memory of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)
