"""Databases with three users on a data folder, until SIGTERM: what `test_backup` copies. A program, not a test."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from local_stack.engines.launcher import running
from local_stack.stack import foreground
from tests.contract.test_backup import SMALL, fill


async def main(data: Path) -> None:
    """Ann and Ben, Ben and Cleo."""
    async with running(data, SMALL) as engines:
        await fill(engines, "ann", "ben", "cleo")
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    foreground.run(main(Path(sys.argv[1])), lambda _: None)
