"""A publish response becomes what to do about it: only a fault of the message itself is final."""

from __future__ import annotations

import pytest

from pubnub_bridge.pubnub_api.publish_client import Outcome, classify


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, '[1,"Sent","17"]', Outcome.SENT),
        (429, "{}", Outcome.LATER),
        (500, "", Outcome.LATER),
        (503, "{}", Outcome.LATER),
        (200, "<html>", Outcome.LATER),
        (403, '{"message":"Forbidden"}', Outcome.DENIED),
        (400, '[0,"Invalid JSON","17"]', Outcome.REFUSED),
        (413, '[0,"Message Too Large","17"]', Outcome.REFUSED),
        (414, "{}", Outcome.REFUSED),
        (400, '[0,"Invalid Key","17"]', Outcome.LATER),
        (400, '{"message":"Invalid Subscribe Key"}', Outcome.LATER),
    ],
)
def test_only_a_fault_of_the_message_itself_is_final(status: int, body: str, outcome: Outcome) -> None:
    """A wrong key is the operator's to fix; no message is discarded for it."""
    assert classify(status, body, None).outcome is outcome


def test_a_server_may_ask_to_wait_for_at_most_a_minute() -> None:
    assert classify(429, "", "7").retry_after == 7.0
    assert classify(429, "", "9999").retry_after == 60.0
    assert classify(429, "", "soon").retry_after == 0.0


@pytest.mark.parametrize(("status", "limited"), [(429, True), (500, False), (400, False)])
def test_too_many_calls_are_not_taken_for_an_outage(status: int, limited: bool) -> None:
    assert classify(status, "{}", None).rate_limited is limited
