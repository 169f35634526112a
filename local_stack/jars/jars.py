"""Ensure that Neo4j's jars are in the cache and complete, with a progress bar; `local_stack.jars.fetch` downloads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from local_stack.jars import cache
from local_stack.jars.lockfile import Jar, Lock


async def ready_jars(lock: Lock, folder: Path | None = None) -> list[Path]:
    """The paths of all jars of `lock`; missing and broken ones are downloaded first.

    Safe to call from several processes at once: one downloads, the others wait and then find everything.
    Raises what `local_stack.jars.fetch.fetch` raises.
    """
    folder = folder or cache.jars_folder()
    if await asyncio.to_thread(cache.missing, lock.jars, folder):
        async with cache.only_writer(folder):
            if todo := await asyncio.to_thread(cache.missing, lock.jars, folder):
                await _fetch(lock, todo, folder)
    return [folder / jar.path for jar in lock.jars]


async def _fetch(lock: Lock, todo: Sequence[Jar], folder: Path) -> None:
    # Only the first start needs these imports, which take half a second.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415

    from local_stack.jars import fetch  # noqa: PLC0415

    console = Console(stderr=True)
    base, total = fetch.default_base(), sum(jar.size for jar in todo)
    text = f"Neo4j {lock.version}: {len(todo)} of {len(lock.jars)} jars, {total / 1e6:.0f} MB"
    if not console.is_terminal:
        console.print(f"{text}, into {folder}", soft_wrap=True)
    columns = (
        "[progress.description]{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=total)
        await fetch.fetch(todo, fetch.Source(base, folder, lambda count: progress.advance(task, count)))
