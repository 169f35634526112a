"""Rate limits hold over several API processes, because they are counted in one Valkey."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.valkey_cluster import running
from graph_service.api.rate_limits import RateLimits
from graph_service.errors import RateLimited
from graph_service.settings import Settings
from tests.conftest import Servers

RATES: dict[str, object] = {"rate_limit_user": "6/minute", "rate_limit_address": "6/minute"}


async def test_two_processes_together_allow_no_more_than_the_rate(servers: Servers) -> None:
    """Requests spread over both, as behind one port; other users and kinds are counted separately."""
    await hold_together(servers.settings(**RATES))


async def test_two_processes_count_together_on_a_cluster(servers: Servers, tmp_path: Path) -> None:
    """And not separately, which is what happens without Valkey."""
    async with running(tmp_path) as cluster:
        settings = servers.settings(**(RATES | {"redis_url": cluster.url, "rate_limit_when_down": "refuse"}))
        await hold_together(settings, clustered=True)


async def hold_together(settings: Settings, clustered: bool = False) -> None:
    """The rate limits of two processes at one REDIS_URL."""
    one, other = (RateLimits(settings=settings, clustered=clustered) for _ in range(2))
    for turn in range(6):
        await (one if turn % 2 else other).count("user", "shared-limits")
    for limits in (one, other):
        with pytest.raises(RateLimited) as refusal:
            await limits.count("user", "shared-limits")
        assert 1 <= int(str(refusal.value.fields["retry_after"])) <= 120
        await limits.count("user", "shared-limits-2")
        await limits.count("address", "shared-limits")
    await one.close()
    await other.close()
