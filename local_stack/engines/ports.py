"""Ports of this machine's loopback. Knows sockets, not who wants the port."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nobody has now. Somebody may take it before it is used; its user must be ready for that."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen here now."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier run that still wait to be forgotten are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
