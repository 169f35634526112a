"""The running API does what its document says: schemathesis against real Neo4j and Valkey."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.support.api import SERVICE_KEY, Api

MIN_CASES = 415
"""Fewer would mean that routes or parameters are missing from the document."""


@pytest.mark.timeout(400)
async def test_generated_requests_find_no_response_that_the_document_does_not_allow(
    api: Api, tmp_path: Path
) -> None:
    """Statuses, media types, headers, schemas, refusals of bad data, unsupported methods, missing credentials.

    Left out: that whatever fits the schema is accepted. Cursors carry a digest, and an id may be one's own.
    """
    await api.create_users("ann", "ben", "cat")
    await api.befriend("ann", "ben")
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {api.token('ann')}", "-H", f"X-Service-Key: {SERVICE_KEY}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", "7"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--generation-database", "none", "--continue-on-failure"),
    ]
    started = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
    output = (await started.communicate())[0].decode()
    assert started.returncode == 0, output[-6000:]
    generated = re.search(r"(\d+) generated", output)
    assert generated is not None, output[-2000:]
    assert int(generated[1]) >= MIN_CASES
