"""What runs in the foreground ends in order on a signal, and with a message on an error."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

CODE = """
import asyncio, sys
from local_stack.stack import foreground
async def main():
    try:
        print("started", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(float(sys.argv[1]))
        print("closed", flush=True)
foreground.run(main(), lambda text: print(text, flush=True))
"""


def run(seconds: float) -> subprocess.Popen[str]:
    """A process whose closing takes `seconds`."""
    popen = subprocess.Popen([sys.executable, "-c", CODE, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert popen.stdout
    assert popen.stdout.readline() == "started\n"
    return popen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_what_was_opened(number: signal.Signals) -> None:
    """Ctrl-C, a service manager, a closed terminal: exit code 0."""
    popen = run(0.05)
    popen.send_signal(number)
    said, _ = popen.communicate(timeout=10)
    assert said == "stopping\nclosed\n"
    assert popen.returncode == 0


def test_a_second_signal_ends_at_once() -> None:
    """For impatient users; the supervisors stop the programs."""
    popen = run(60)
    popen.send_signal(signal.SIGINT)
    assert popen.stdout
    assert popen.stdout.readline() == "stopping\n"
    popen.send_signal(signal.SIGINT)
    popen.communicate(timeout=10)
    assert popen.returncode == 128 + signal.SIGINT
