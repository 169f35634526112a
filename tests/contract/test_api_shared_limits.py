"""Rates hold over several API processes, because they are counted in one Valkey."""

from __future__ import annotations

import pytest

from graph_service.api.limits import RateLimits
from graph_service.errors import RateLimited
from tests.conftest import Servers


async def test_two_processes_together_allow_no_more_than_the_rate(servers: Servers) -> None:
    """Calls spread over both, as behind one port; other users and other kinds have their own count."""
    settings = servers.settings(rate_limit_user="6/minute", rate_limit_address="6/minute")
    one, other = RateLimits(settings), RateLimits(settings)
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
