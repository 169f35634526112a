"""status.count: the number of online users, its change, and whether to trust it."""

from __future__ import annotations

from graph_service.model.messages import MESSAGE
from pubnub_bridge.observe.online_count import counted


def test_a_count_contains_its_change_and_whether_to_trust_it() -> None:
    """The first one has no change."""
    first = counted(5, None, None, 30, 1_700_000_000_000_000)
    assert (first.payload.delta, first.payload.degraded) == (0, False)
    second = counted(3, 5, "late", 30, 1_700_000_010_000_000)
    assert (second.payload.delta, second.payload.degraded, second.payload.reason) == (-2, True, "late")
    assert second.event_id == "evt_global_count_1700000010"
    MESSAGE.validate_json(second.model_dump_json(by_alias=True))
