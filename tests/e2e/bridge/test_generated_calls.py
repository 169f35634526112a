"""The routes that need PubNub do what the API document says, security included: schemathesis on the running API."""

from __future__ import annotations

import re
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path

import pytest

from graph_service.api.dev_tokens import mint
from tests.e2e.bridge.conftest import World

MIN_CASES = 60
"""Fewer would mean that routes are missing in the document."""
PATHS = r"^/v1/(session|sync|me/|why|users/.*/traces|console/(why|ego|dead|audit))|^/webhooks/"


@pytest.mark.timeout(400)
async def test_generated_calls_find_nothing_that_the_document_does_not_say(
    quiet: World, tmp_path: Path
) -> None:
    """All checks, among them: no call succeeds without its credentials or with invented ones; bad data is refused.

    Left out, as for the graph's routes: that everything that fits the schema is accepted.
    """
    await quiet.create_friends("ann", "ben")
    token = mint(quiet.settings, "ann", time.time(), 600)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{quiet.api}/openapi.json"),
        *("-H", f"Authorization: Bearer {token}", "-H", "X-Service-Key: " + "s" * 32),
        *("-H", "X-Webhook-Secret: " + "w" * 32, "--include-path-regex", PATHS),
        *("--phases", "coverage", "--seed", "7"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--generation-database", "none", "--continue-on-failure"),
    ]
    started = await create_subprocess_exec(*command, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
    output = (await started.communicate())[0].decode()
    assert started.returncode == 0, output[-6000:]
    generated = re.search(r"(\d+) generated", output)
    assert generated is not None, output[-2000:]
    assert int(generated[1]) >= MIN_CASES, output[-2000:]
