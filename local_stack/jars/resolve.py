"""Resolve the jars of a Neo4j version for its lock file: resolve POMs, download each jar, take its SHA-256.

The resolver library (jgo) has the registry's address. Used when the version changes, never at a start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jgo.maven import Dependency, MavenContext

from local_stack.errors import CannotDownload
from local_stack.jars.lockfile import PRODUCT, Jar

MAX_CONCURRENT_DOWNLOADS = 12


def resolve(version: str, cache: Path, report: Callable[[str], None]) -> list[Jar]:
    """Every jar of Neo4j `version`, downloaded into `cache` and hashed; `report` is called at each step.

    The library checks each file against the SHA-1 that the registry publishes. Raises `CannotDownload`.
    """
    context = MavenContext(repo_cache=cache, timeout=30)
    group, _, artifact = PRODUCT.partition(":")
    report(f"resolving {PRODUCT}:{version}")
    try:
        product = context.project(group, artifact).at_version(version).artifact()
        # raw: a plain dependency, as Maven treats it; otherwise jgo also imports its managed versions.
        _, nodes = context.resolver.get_dependency_list([Dependency(product, raw=True)])
        artifacts = [product, *(node.dep.artifact for node in nodes if node.dep.type == "jar")]
        report(f"fetching {len(artifacts)} jars")
        with ThreadPoolExecutor(MAX_CONCURRENT_DOWNLOADS) as pool:
            return list(pool.map(_measure, artifacts))
    except (OSError, RuntimeError, ValueError) as error:
        raise CannotDownload(
            file=f"{PRODUCT}:{version}", host=", ".join(context.remote_repos), reason=error, cache=cache
        ) from error


def _measure(artifact: Any) -> Jar:
    content = Path(artifact.resolve()).read_bytes()
    return Jar(
        group=artifact.groupId,
        artifact=artifact.artifactId,
        classifier=artifact.classifier or "",
        version=artifact.version,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )
