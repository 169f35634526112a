"""Files of the end-to-end suite, with the service in a container of its image instead of in their process."""

from __future__ import annotations

import docker  # type: ignore[import-untyped]
import pytest

from tests.containers.test_contract_in_container import passes

FILES = ("tests/e2e/bridge/test_pipeline.py",)
"""Others that use a `world` can be run against an image by hand: SERVICE_IMAGE=… pytest …"""
MIN_TESTS = 5
"""Fewer would mean that the suite was not found."""
pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]


async def test_the_end_to_end_suite_passes_against_the_image(
    engine: docker.DockerClient, service_image: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Official clients; the image on a read-only file system, without capabilities."""
    others = running(engine, service_image)
    last = await passes(FILES, {"SERVICE_IMAGE": service_image}, MIN_TESTS)
    with capfd.disabled():
        print(f"\nend to end against {service_image}: {last}")
    assert running(engine, service_image) <= others, "a container was left behind"


def running(engine: docker.DockerClient, image: str) -> set[str]:
    """Containers of an image, by id: those of the Compose file are there as well."""
    return {one.id for one in engine.containers.list(filters={"ancestor": image})}
