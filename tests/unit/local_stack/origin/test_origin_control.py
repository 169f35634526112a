"""The control API: keysets, clock, faults, counters, snapshots."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from local_stack.origin.app import Options, start
from tests.support.origin import START, OriginHttp, payloads

SUB = "/v2/presence/sub-key/demo"


async def test_control_is_off_unless_asked_for() -> None:
    running = await start(Options())
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"http://127.0.0.1:{running.port}/_control/clock")
        assert answer.status == 404
    await running.close()


async def test_a_keyset_comes_and_goes(http: OriginHttp) -> None:
    """With its keys and settings; the secret is never shown."""
    new = {"publish_key": "p2", "secret_key": "s2", "settings": {"region": 7}}
    shown = await http.control("/keysets/s-2", "PUT", new)
    assert shown["publish_key"] == "p2"
    assert "s2" not in str(shown)
    assert (await http.call("/v2/subscribe/s-2/ch/0?tt=0")).body["t"]["r"] == 7
    assert (await http.call("/publish/p2/s-2/0/ch/0/1")).status == 200
    await http.control("/keysets/s-2", "DELETE")
    assert (await http.call("/v2/subscribe/s-2/ch/0?tt=0")).status == 400


async def test_settings_change_while_it_runs(http: OriginHttp) -> None:
    """The others stay; invalid ones are rejected and change nothing."""
    await http.control("/keysets/demo", "PATCH", {"presence": {"announce_max": 3}, "hold_s": 5})
    shown = (await http.control("/keysets/demo"))["settings"]
    assert (shown["presence"]["announce_max"], shown["presence"]["interval_s"], shown["hold_s"]) == (3, 10, 5)
    for wrong in ({"presence": {"announce_max": -1}}, {"nothing": 1}, {"hold_s": "x"}):
        reply = await http.call("/_control/keysets/demo", "PATCH", json=wrong)
        assert reply.status == 400
    assert (await http.control("/keysets/demo"))["settings"] == shown


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/keysets/nope", b"", 404),
        ("POST", "/snapshots/nope", b"", 404),
        ("POST", "/clock", b"{", 400),
        ("POST", "/clock", b'{"advance": "soon"}', 400),
        ("POST", "/clock", b'{"advance": 1e999}', 400),
        ("PUT", "/keysets/demo/faults", b"{}", 400),
        ("PATCH", "/keysets/demo", b"[]", 400),
    ],
)
async def test_a_bad_control_request_is_rejected(
    http: OriginHttp, method: str, path: str, body: bytes, status: int
) -> None:
    reply = await http.call("/_control" + path, method, data=body)
    assert (reply.status, reply.body["error"]) == (status, True)


async def test_the_clock_is_set_advanced_and_thawed(http: OriginHttp) -> None:
    """Timetokens follow it and never go back."""
    assert (await http.control("/clock"))["frozen"] is True
    first = (await http.call("/time/0")).body[0]
    assert (await http.control("/clock", "POST", {"set": START - 100}))["now"] == START - 100
    assert (await http.call("/time/0")).body[0] == first + 1
    await http.control("/clock", "POST", {"frozen": False, "advance": 1000})
    assert (await http.call("/time/0")).body[0] > (START + 800) * 1e7


async def test_counters_count_what_was_published(http: OriginHttp) -> None:
    await http.publish("ch", 1)
    await http.publish("ch", 2)
    await http.cursor("ch", "ann")
    assert await http.control("/keysets/demo/counters") == {"ch": 2, "ch-pnpres": 1}


async def test_a_snapshot_brings_everything_back(http: OriginHttp) -> None:
    """Presence, messages, groups, history, settings, clock."""
    cursor = await http.cursor("ch", "ann")
    http.keyset.groups.add("g", ["ch"])
    await http.publish("ch", "kept")
    await http.control("/snapshots/one", "PUT")
    await http.control("/keysets/demo", "PATCH", {"region": 9})
    await http.advance(1000)
    await http.publish("ch", "gone")
    http.keyset.groups.delete("g")
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    await http.control("/snapshots/one", "POST")
    assert (await http.call(f"{SUB}/channel/ch")).body["uuids"] == ["ann"]
    reply = await http.subscribe(",", cursor, **{"channel-group": "g"})
    assert (payloads(reply), reply.body["t"]["r"]) == (["kept"], 41)
    await http.advance(300)
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0


async def test_a_reset_forgets_all_but_settings(http: OriginHttp) -> None:
    await http.control("/keysets/demo", "PATCH", {"region": 9})
    cursor = await http.cursor("ch", "ann")
    await http.publish("ch", 1)
    await http.control("/keysets/demo/reset", "POST")
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    poll = asyncio.create_task(http.subscribe("ch", cursor))
    await http.polls(1)
    await http.publish("ch", 2)
    assert payloads(await poll) == [2]


async def test_an_open_poll_survives_a_reset(http: OriginHttp) -> None:
    poll = asyncio.create_task(http.subscribe("ch", await http.cursor("ch")))
    await http.polls(1)
    await http.control("/keysets/demo/reset", "POST")
    await http.publish("ch", 2)
    assert payloads(await poll) == [2]


async def faulty(http: OriginHttp, **fault: Any) -> None:
    await http.control("/keysets/demo/faults", "PUT", [fault])


async def test_calls_fail_by_prefix_rate_and_number(http: OriginHttp) -> None:
    """429 with Retry-After, twice."""
    await faulty(http, kind="status", prefix="/publish/", status=429, retry_after_s=7, times=2)
    for status in (429, 429, 200):
        reply = await http.publish("ch", 1)
        assert reply.status == status
        assert reply.headers.get("Retry-After") == ("7" if status == 429 else None)
        assert (await http.call("/v2/subscribe/demo/ch/0?tt=0")).status == 200
    assert (await http.control("/keysets/demo/faults"))["applied"] == {"status": 2}


async def test_a_rate_strikes_its_share_of_calls(http: OriginHttp) -> None:
    await faulty(http, kind="status", rate=0.3)
    statuses = [(await http.publish("ch", 1)).status for _ in range(100)]
    assert 15 < statuses.count(503) < 45


async def test_a_reset_connection_is_an_error_of_the_client(http: OriginHttp) -> None:
    await faulty(http, kind="reset", prefix="/publish/")
    with pytest.raises(aiohttp.ClientError):
        await http.publish("ch", 1)


async def test_a_slow_request_gets_a_response_and_a_stalled_one_never(http: OriginHttp) -> None:
    """As long as the client waits."""
    await faulty(http, kind="slow", delay_ms=30, prefix="/publish/")
    assert (await http.publish("ch", 1)).status == 200
    await faulty(http, kind="stall", prefix="/publish/")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(http.publish("ch", 1), 0.05)


async def test_events_are_lost_doubled_and_reordered(http: OriginHttp) -> None:
    """Lost for all subscribers, the others at delivery."""
    cursor = await http.cursor("ch")
    await faulty(http, kind="lose", prefix="ch", times=1)
    for number in range(5):
        await http.publish("ch", number)
    assert payloads(await http.subscribe("ch", cursor)) == [1, 2, 3, 4]
    await faulty(http, kind="duplicate", times=1)
    assert payloads(await http.subscribe("ch", cursor)) == [1, 1, 2, 3, 4]
    await faulty(http, kind="reorder")
    reply = await http.subscribe("ch", cursor)
    assert sorted(payloads(reply)) == [1, 2, 3, 4] != payloads(reply)
    assert reply.body["t"]["t"] == max(envelope["p"]["t"] for envelope in reply.body["m"])


async def test_the_presence_of_a_channel_can_be_dropped(http: OriginHttp) -> None:
    cursor = await http.cursor("ch-pnpres")
    await http.cursor("ch", "ann")
    await http.control("/keysets/demo/drop", "POST", {"channel": "ch"})
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    assert [event["action"] for event in payloads(await http.subscribe("ch-pnpres", cursor))] == ["join"]


async def test_what_falls_due_on_the_way_happens_at_its_time(http: OriginHttp) -> None:
    """Timetokens too: a message caused by a timeout has the timeout's time."""
    cursor = await http.cursor("ch-pnpres")
    for user, seconds in (("a", "20"), ("b", "100")):
        await http.subscribe("ch", 0, user, heartbeat=seconds)
    await http.advance(1000)
    gone = [
        envelope
        for envelope in (await http.subscribe("ch-pnpres", cursor)).body["m"]
        if "data" in envelope["d"]
    ]
    assert [int(envelope["p"]["t"]) // 10**7 - START for envelope in gone] == [20, 100]
