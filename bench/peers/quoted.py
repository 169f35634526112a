"""Quoted figures of Nakama, which we measured earlier on the same kind of machine with the same friendships.

Nakama is built from source (Go), which a benchmark of one command should not need. Its clients follow each friend's id
themselves, and its connects include that.
"""

from __future__ import annotations

from typing import Any

NAKAMA: dict[str, Any] = {
    "name": "Nakama",
    "how": "built from source (Go 1.26), PostgreSQL from Debian, JSON over WebSocket, no TLS; server, database and "
    "client on 2 cores, loopback; 3,000 people, 900 online; one run; not run here",
    "holdSeconds": 0.0,
    "windowSeconds": 0.0,
    "reconnects": {
        "turnsPerSecond": 376,
        "deliveriesPerSecond": 55_400,
        "p99Ms": 819,
        "cpuMsPer1000": 27.7,
        "of which PostgreSQL": 3.3,
    },
    "socketsKept": {
        "turnsPerSecond": 834,
        "deliveriesPerSecond": 186_800,
        "p99Ms": 320,
        "cpuMsPer1000": 7.9,
    },
    "storm": {"what": "900 drop and return", "allRightSeconds": [3.1, 3.4]},
    "memoryKiBPerOnlineUser": [270, 336],
    "http": {
        "friends page of 100": {"p50": 1.8, "p99": 5.5},
        "friends page of 1000": {"p50": 9.7, "p99": 16.7},
        "friends of friends (limit 100), of one friend only, unranked": {"p50": 6.1, "p99": 11.0},
    },
}
