"""A bridge of the harness: ``python -m chaos.bridge``. Its clock can be set by a signal, and it can have a planted bug.

SIGUSR1 puts its clock forward and SIGUSR2 back, by `JUMP_SECONDS`, as a bad time server would: only what the bridge
reads for its decisions; the machine's clock stays. CHAOS_PLANTED names a bug of `chaos.planted`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

from chaos.planted import planted
from pubnub_bridge.cli import main as command
from pubnub_bridge.pubnub_api import clock

JUMP_SECONDS = 10
"""Less than the minute after which the bridge asks for PubNub's time again."""


class Clock:
    """The part of `time` that the bridge's clock reads."""

    def __init__(self) -> None:
        self.shift = 0

    def time_ns(self) -> int:
        """Nanoseconds since the epoch, shifted."""
        return time.time_ns() + self.shift

    def jump(self, number: int, _frame: FrameType | None) -> None:
        """By a signal."""
        self.shift += (JUMP_SECONDS if number == signal.SIGUSR1 else -JUMP_SECONDS) * 1_000_000_000


def main() -> None:
    """As ``friends-presence serve --no-api``."""
    own = Clock()
    clock.time = own  # type: ignore[assignment,attr-defined]
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, own.jump)
    sys.argv = ["friends-presence", "serve", "--no-api"]
    with planted(os.environ.get("CHAOS_PLANTED")):
        command.main()


if __name__ == "__main__":
    main()
