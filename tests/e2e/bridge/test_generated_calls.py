"""The routes of PubNub's side do what the document says, their security included: schemathesis on the running API."""

from __future__ import annotations

import re
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path

import pytest

from graph_service.api.dev_tokens import mint
from tests.e2e.bridge.conftest import World

FEWEST = 60
"""Cases; fewer would mean that routes went out of the document."""
PATHS = r"^/v1/(session|sync|me/|why|users/.*/traces|console/(why|ego|dead|audit))|^/webhooks/"


@pytest.mark.timeout(400)
async def test_generated_calls_find_no_way_past_the_document(quiet: World, tmp_path: Path) -> None:
    """All checks, among them: no call is answered without its credentials, or with invented ones; bad data is refused.

    Left out: that whatever fits the schema is accepted, as for the graph's own routes.
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
    assert int(generated[1]) >= FEWEST, output[-2000:]
