"""The graph in a container: testcontainers starts it, the contract suite runs against it.

NEO4J_IMAGE names the image; by default the official one at the locked version. Where no image registry is reachable,
one is built from the same jars. Without a Docker engine everything here is skipped with the reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker  # type: ignore[import-untyped]
import pytest
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from testcontainers.community.neo4j import Neo4jContainer
from testcontainers.core.config import testcontainers_config

from local_stack.jars import lockfile
from local_stack.stack import image
from tests.containers import base_image

ROOT = Path(__file__).resolve().parents[2]
BASE = "friends-presence/base-from-here"
SERVICE = "friends-presence:of-tests"
PULL_SECONDS = 90.0
LOCAL = "friends-presence/neo4j-from-jars"
PASSWORD = "of-a-test-container"


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A reachable Docker engine."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers ({str(error)[:160]}); on Debian as root: .ci/docker.sh start")
    yield client
    client.close()


@pytest.fixture(scope="session")
def neo4j_image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image to run, present on this engine."""
    version = lockfile.read().version
    if given := os.environ.get("NEO4J_IMAGE"):
        return given
    official = f"neo4j:{version}"
    if present(engine, official) or pulled(engine, official):
        return official
    local = f"{LOCAL}:{version}"
    if not present(engine, local):
        build(engine, local, tmp_path_factory.mktemp("image") / "tree.tar")
    testcontainers_config.ryuk_disabled = (
        True  # its image, too, could not be had; the fixture below cleans up
    )
    return local


def present(engine: docker.DockerClient, name: str) -> bool:
    """Whether the engine has the image."""
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def pulled(engine: docker.DockerClient, name: str) -> bool:
    """Whether a registry delivered it in time."""

    async def pull() -> None:
        await asyncio.wait_for(asyncio.to_thread(engine.images.pull, name), PULL_SECONDS)

    try:
        asyncio.run(pull())
    except (DockerException, OSError, TimeoutError) as error:
        warnings.warn(f"{name} cannot be had ({str(error)[:160]}): it is built from the jars", stacklevel=2)
        return False
    return True


def build(engine: docker.DockerClient, name: str, tree: Path) -> None:
    """Import the tree under a name."""
    image.write(tree)
    repository, _, tag = name.partition(":")
    engine.api.import_image_from_file(str(tree), repository, tag, changes=list(image.CHANGES))
    tree.unlink()


@pytest.fixture(scope="session")
def container(neo4j_image: str) -> Iterator[Neo4jContainer]:
    """A running Neo4j, removed at the end."""
    with Neo4jContainer(neo4j_image, password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="session")
def base(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with Python to build on: BASE_IMAGE, or one made of this machine's Python."""
    if given := os.environ.get("BASE_IMAGE"):
        return given
    version = hashlib.sha256(Path(base_image.__file__).read_bytes()).hexdigest()[:12]
    name = f"{BASE}:{base_image.VERSION}-{version}"
    if not present(engine, name):
        tree = tmp_path_factory.mktemp("base") / "tree.tar"
        base_image.write(tree)
        engine.api.import_image_from_file(str(tree), *name.split(":"), changes=list(base_image.CHANGES))
        tree.unlink()
    return name


@pytest.fixture(scope="session")
def service_image(engine: docker.DockerClient, base: str) -> str:
    """The image of deploy/Dockerfile. Steps with unchanged files come from the engine's cache."""
    began = time.monotonic()
    built, _ = engine.images.build(
        path=str(ROOT),
        dockerfile="deploy/Dockerfile",
        tag=SERVICE,
        buildargs={"BASE": base},
        network_mode="host",
        rm=True,
    )
    print(
        f"{SERVICE}: {built.attrs['Size'] / 1e6:.0f} MB, built in {time.monotonic() - began:.0f} s on {base}"
    )
    return SERVICE
