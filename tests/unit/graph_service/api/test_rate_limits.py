"""Rate limits: per user, per address without a caller, and without Valkey."""

from __future__ import annotations

import pytest

from graph_service.api.rate_limits import RETRY_SECONDS, RateLimits
from graph_service.errors import QueueUnavailable, RateLimited
from tests.support.serving import options, serving
from tests.support.standins import StandInParts


async def test_a_user_over_the_rate_is_rejected_with_retry_after() -> None:
    """429, Retry-After, the code; another user at the same address is not affected."""
    async with serving(options(rate_limit_user="3/minute"), StandInParts()) as api:
        for _ in range(3):
            assert (await api.call("GET", "/v1/sync", headers=api.bearer("ann")))[0] == 200
        status, body, headers = await api.call("GET", "/v1/sync", headers=api.bearer("ann"))
        assert (status, body["code"]) == (429, "rate_limited")
        assert 1 <= int(headers["Retry-After"]) == body["retryAfter"] <= 120
        assert (await api.call("GET", "/v1/sync", headers=api.bearer("ben")))[0] == 200


async def test_requests_without_a_valid_token_are_counted_by_address() -> None:
    """Through a trusted proxy by the address it names; a user with a valid token at that address is not affected."""
    settings = options(rate_limit_address="2/minute", trusted_proxies="127.0.0.0/8")
    async with serving(settings, StandInParts()) as api:
        first, second = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
        codes = [await api.code("GET", "/v1/sync", headers=first) for _ in range(3)]
        assert codes == [(401, "unauthorized"), (401, "unauthorized"), (429, "rate_limited")]
        assert await api.code("GET", "/v1/users/ann", headers=first | {"X-Service-Key": "x"}) == (
            429,
            "rate_limited",
        )
        assert await api.code("GET", "/v1/sync", headers=second) == (401, "unauthorized")
        assert (await api.call("GET", "/v1/sync", headers=first | api.bearer("ann")))[0] == 200


async def test_requests_with_the_service_key_have_a_separate_rate() -> None:
    """None by default."""
    async with serving(options(rate_limit_service="1/minute"), StandInParts()) as api:
        body = {"json": {"ids": ["ann"]}, "headers": api.service}
        assert (await api.call("POST", "/v1/presence:query", **body))[0] == 200
        assert await api.code("POST", "/v1/presence:query", **body) == (429, "rate_limited")


async def test_all_callers_share_one_rate_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users and the back end alike; without a valid token the address is counted as usual."""
    monkeypatch.setattr("graph_service.api.rate_limits.RATE_LIMIT_ALL", "3/minute")
    async with serving(options(), StandInParts()) as api:
        for user in ("ann", "ben"):
            assert (await api.call("GET", "/v1/sync", headers=api.bearer(user)))[0] == 200
        body = {"json": {"ids": ["ann"]}, "headers": api.service}
        assert (await api.call("POST", "/v1/presence:query", **body))[0] == 200
        assert await api.code("GET", "/v1/sync", headers=api.bearer("cat")) == (429, "rate_limited")
        assert await api.code("POST", "/v1/presence:query", **body) == (429, "rate_limited")
        assert await api.code("GET", "/v1/sync") == (401, "unauthorized")


async def test_without_valkey_each_process_counts_for_itself() -> None:
    """By default: the caller is still limited."""
    limits = RateLimits(settings=options(rate_limit_user="2/minute"), clustered=False)
    await limits.count("user", "ann")
    await limits.count("user", "ann")
    with pytest.raises(RateLimited):
        await limits.count("user", "ann")
    await limits.close()


async def test_without_valkey_requests_are_rejected_where_the_setting_says_so() -> None:
    """503, also while Valkey is not tried again."""
    now = [0.0]
    settings = options(rate_limit_user="2/minute", rate_limit_when_down="refuse")
    limits = RateLimits(settings=settings, clustered=False, clock=lambda: now[0])
    for now[0] in (0.0, RETRY_SECONDS / 2, RETRY_SECONDS * 2):
        with pytest.raises(QueueUnavailable):
            await limits.count("user", "ann")
    await limits.close()
