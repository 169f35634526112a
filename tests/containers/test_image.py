"""The image of deploy/Dockerfile: small, not root, with everything that makes it fast, on a read-only file system."""

from __future__ import annotations

from typing import Any

import docker  # type: ignore[import-untyped]
import pytest

from graph_service import __version__

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]
MAX_LAYERS_MB = 130
"""Size of the layers above the base image."""
LOOK = """
import importlib.util, os, sys, uvloop
from neo4j._codec.packstream import RUST_AVAILABLE
found = [importlib.util.find_spec(name) for name in ("pip", "uv", "hatchling")]
tools = [spec.origin for spec in found if spec and spec.origin.startswith("/app/")]
try:
    open("/app/written", "w")
    writable = True
except OSError:
    writable = False
print(os.getuid(), RUST_AVAILABLE, bool(uvloop.__version__), tools, writable)
"""


def run(engine: docker.DockerClient, image: str, *words: str, **more: Any) -> str:
    """The output of a locked-down container of it."""
    said: bytes = engine.containers.run(
        image,
        list(words),
        read_only=True,
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        remove=True,
        **more,
    )
    return said.decode()


def test_the_image_is_small_and_does_not_run_as_root(
    engine: docker.DockerClient, service_image: str, base: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its layers, its user, and its command."""
    image, below = engine.images.get(service_image).attrs, engine.images.get(base).attrs
    ours = (image["Size"] - below["Size"]) / 1e6
    with capfd.disabled():
        print(f"\n{service_image}: {image['Size'] / 1e6:.0f} MB, of which ours {ours:.0f} MB")
    assert ours < MAX_LAYERS_MB
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["Entrypoint"] == ["friends-presence"]
    assert image["Config"]["Healthcheck"]["Test"][0] == "CMD"


def test_inside_are_uvloop_and_the_rust_driver_extension_and_no_tools(
    engine: docker.DockerClient, service_image: str
) -> None:
    """As a container reports it, on a read-only file system, without a network or a capability."""
    said = run(engine, service_image, "-c", LOOK, entrypoint="python")
    assert said.split() == ["10001", "True", "True", "[]", "False"]


def test_its_commands_run_without_what_the_local_stack_needs(
    engine: docker.DockerClient, service_image: str
) -> None:
    """The extra `local` is not in it: its commands are missing, the others are there."""
    assert run(engine, service_image, "--version").strip() == __version__
    listed = run(engine, service_image, "--help")
    assert "│ serve " in listed
    assert "│ engines " not in listed
