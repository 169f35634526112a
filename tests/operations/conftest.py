"""The whole stack with a few demo users, scraped by Debian's Prometheus with our own configuration."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from local_stack.engines.launcher import Options
from local_stack.engines.ports import free_port
from local_stack.engines.process import Process, Program
from local_stack.stack.up import Choice, stack

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = ROOT / "deploy" / "prometheus"
HIDDEN = {"NEO4J_URI", "REDIS_URL", "PUBNUB_SUBSCRIBE_KEY"}
HOW = "on Debian as root: .ci/prometheus.sh"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus and the service that it scrapes."""

    address: str
    service: str
    http: aiohttp.ClientSession

    async def ask(self, path: str, **query: str) -> Any:
        """The data of one call of its HTTP API (Prometheus docs: HTTP API)."""
        async with self.http.get(f"{self.address}/api/v1/{path}", params=query) as reply:
            response = await reply.json()
        assert response["status"] == "success", response
        return response["data"]

    async def value(self, expression: str) -> list[Any]:
        """The series of an instant query."""
        found: list[Any] = (await self.ask("query", query=expression))["result"]
        return found

    async def metrics(self) -> str:
        """The text of the service's /metrics."""
        async with self.http.get(f"{self.service}/metrics") as reply:
            return await reply.text()


def program(name: str) -> str:
    """The path of a program. Skips the test where there is none, with the way to install it."""
    if not (found := shutil.which(name)):
        pytest.skip(f"no {name} on this machine; {HOW}")
    return found


def configuration(service: str, folder: Path) -> Path:
    """Write our prometheus.yml with this service as the target, scraped every second."""
    config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOYED / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [service.removeprefix("http://")]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), "utf-8")
    return file


@pytest.fixture(scope="session")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """Yields after five scrapes."""
    binary, folder = program("prometheus"), tmp_path_factory.mktemp("prometheus")
    environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    choice = Choice(folder / "data", people=40, engines=Options(heap=512, page_cache=64), environ=environ)
    async with stack(choice, lambda _: None) as made:
        address = f"127.0.0.1:{free_port()}"
        command = [
            binary,
            f"--config.file={configuration(made.api, folder)}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address={address}",
        ]
        process = await asyncio.to_thread(
            Process.start, Program(name="Prometheus", command=command, log=folder / "prometheus.log")
        )
        try:
            async with aiohttp.ClientSession() as http:
                running = Prometheus(f"http://{address}", made.api, http)
                await _until_scraped(running, process)
                yield running
        finally:
            await process.stop()


async def _until_scraped(running: Prometheus, process: Process) -> None:
    async with asyncio.timeout(120):
        while True:
            assert process.exit_code is None, process.tail()
            try:
                if (found := await running.value("sum_over_time(up[1h])")) and float(
                    found[0]["value"][1]
                ) >= 5:
                    return
            except (aiohttp.ClientError, AssertionError):
                pass  # still starting
            await asyncio.sleep(0.2)
