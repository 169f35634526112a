"""Presence over HTTP: heartbeat, leave, here-now, where-now, state, and the events that subscribers get."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.origin import START, OriginHttp, payloads

SUB = "/v2/presence/sub-key/demo"
OK = '{"status":200,"message":"OK","service":"Presence"'


async def test_heartbeat_and_leave_have_the_recorded_responses(http: OriginHttp) -> None:
    reply = await http.call(f"{SUB}/channel/ch/heartbeat?uuid=u1&heartbeat=300")
    assert reply.text == OK + "}"
    assert reply.headers["Content-Type"] == 'text/javascript; charset="UTF-8"'
    assert reply.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"
    reply = await http.call(f"{SUB}/channel/ch/leave?uuid=u1")
    assert reply.text == '{"status":200,"action":"leave","message":"OK","service":"Presence"}'


@pytest.mark.parametrize("spelling", ["sub-key", "sub_key", "subkey"])
async def test_all_three_spellings_of_the_key_are_served(http: OriginHttp, spelling: str) -> None:
    assert (await http.call(f"/v2/presence/{spelling}/demo/channel/ch/leave?uuid=a")).status == 200


async def test_here_now_of_one_channel_has_the_recorded_body(http: OriginHttp) -> None:
    """With users, with state, with neither."""
    await http.cursor("ch", "u1")
    reply = await http.call(f"{SUB}/channel/ch")
    assert reply.text == OK + ',"uuids":["u1"],"occupancy":1}'
    reply = await http.call(f"{SUB}/channel/ch?disable_uuids=1")
    assert reply.text == OK + ',"occupancy":1}'
    await http.call(f"{SUB}/channel/ch/uuid/u1/data?state=%7B%22a%22:1%7D")
    await http.cursor("ch", "u2")
    reply = await http.call(f"{SUB}/channel/ch?state=1")
    assert reply.body["uuids"] == [{"uuid": "u1", "state": {"a": 1}}, {"uuid": "u2"}]


async def test_here_now_of_many_has_the_recorded_body(http: OriginHttp) -> None:
    """Empty channels are omitted; without any, both totals are 0."""
    await http.cursor("a", "u1")
    reply = await http.call(f"{SUB}/channel/a,b")
    assert reply.text == (
        OK
        + ',"payload":{"channels":{"a":{"uuids":["u1"],"occupancy":1}},"total_channels":1,"total_occupancy":1}}'
    )
    reply = await http.call(f"{SUB}/channel/x,y")
    assert reply.body["payload"] == {"channels": {}, "total_channels": 0, "total_occupancy": 0}
    http.keyset.groups.add("g", ["a"])
    reply = await http.call(f"{SUB}/channel/,?channel-group=g")
    assert reply.body["payload"]["channels"] == {"a": {"uuids": ["u1"], "occupancy": 1}}


async def test_global_here_now_can_be_switched_off(http: OriginHttp) -> None:
    """As on a keyset without it."""
    await http.cursor("a,b", "u1")
    assert (await http.call(SUB)).body["payload"]["total_channels"] == 2
    await http.control("/keysets/demo", "PATCH", {"presence": {"global_here_now": False}})
    assert (await http.call(SUB)).status == 400


async def test_here_now_is_paged_and_its_occupancy_never_capped(http: OriginHttp) -> None:
    """At most 1000 a page; limit=0 counts."""
    for number in range(1200):
        await http.call(f"{SUB}/channel/ch/heartbeat?uuid=u{number}")
    for query, users in (("", 1000), ("?limit=5000", 1000), ("?limit=0", 0), ("?limit=500&offset=1000", 200)):
        reply = await http.call(f"{SUB}/channel/ch{query}")
        assert (len(reply.body["uuids"]), reply.body["occupancy"]) == (users, 1200)


async def test_here_now_is_cached(http: OriginHttp) -> None:
    await http.control("/keysets/demo", "PATCH", {"presence": {"here_now_cache_s": 3}})
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    await http.cursor("ch", "u1")
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0
    await http.advance(3)
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 1


async def test_where_now_lists_the_channels_of_a_user(http: OriginHttp) -> None:
    await http.cursor("a,b-pnpres", "u1")
    assert (await http.call(f"{SUB}/uuid/u1")).text == OK + ',"payload":{"channels":["a"]}}'


async def test_state_is_set_and_read(http: OriginHttp) -> None:
    """One channel and many have different shapes."""
    await http.cursor("a,b", "u1")
    reply = await http.call(f"{SUB}/channel/a,b/uuid/u1/data?state=%7B%22n%22:1%7D")
    assert reply.text == OK + ',"payload":{"n":1}}'
    assert (await http.call(f"{SUB}/channel/a/uuid/u1")).text == (
        OK + ',"payload":{"n":1},"uuid":"u1","channel":"a"}'
    )
    assert (await http.call(f"{SUB}/channel/a,b/uuid/u1")).text == (
        OK + ',"payload":{"channels":{"a":{"n":1},"b":{"n":1}}},"uuid":"u1"}'
    )


@pytest.mark.parametrize("state", ["", "%7B", "1", "%5B%5D"])
async def test_a_state_that_is_none_is_refused(http: OriginHttp, state: str) -> None:
    """The text for a missing one is recorded."""
    reply = await http.call(f"{SUB}/channel/a/uuid/u1/data?state={state}")
    assert (reply.status, reply.body["error"], reply.body["service"]) == (400, 1, "Presence")
    if not state:
        assert reply.text == '{"status":400,"error":1,"message":"No state specified.","service":"Presence"}'


async def test_the_recorded_join_reaches_presence_subscribers_byte_for_byte(http: OriginHttp) -> None:
    await http.cursor("ch", "watcher")
    await http.control("/clock", "POST", {"set": 1757969858.405})
    cursor = await http.cursor("ch,ch-pnpres", "watcher")
    await http.cursor("ch", "david")
    reply = await http.subscribe("ch,ch-pnpres", cursor, "watcher")
    sent = reply.body["m"][-1]["p"]["t"]
    assert reply.text.endswith(
        f'{{"a":"5","f":0,"p":{{"t":"{sent}","r":41}},"k":"demo","c":"ch-pnpres","b":"ch-pnpres",'
        '"u":{"pn_action":"join","pn_channel":"ch","pn_ispresence":1,"pn_occupancy":2,'
        '"pn_precise_timestamp":1757969858405,"pn_timestamp":1757969858,"pn_uuid":"david"},'
        '"d":{"action":"join","uuid":"david","timestamp":1757969858,"precise_timestamp":1757969858405,'
        '"occupancy":2}}]}'
    )


async def test_a_client_sees_its_own_join_after_the_handshake(http: OriginHttp) -> None:
    """By the cursor the handshake gave."""
    cursor = await http.cursor("ch,ch-pnpres", "ann")
    assert [event["uuid"] for event in payloads(await http.subscribe("ch,ch-pnpres", cursor, "ann"))] == [
        "ann"
    ]


async def test_subscribing_to_presence_alone_makes_no_user_present(http: OriginHttp) -> None:
    """Nor does a caller without a uuid."""
    await http.cursor("ch-pnpres", "watcher")
    await http.cursor("ch")
    assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == 0


async def test_the_timeout_of_300_seconds_reaches_a_poll_on_the_virtual_clock(http: OriginHttp) -> None:
    cursor = await http.cursor("ch-pnpres")
    await http.cursor("ch", "ann")
    poll = asyncio.create_task(
        http.subscribe("ch-pnpres", (await http.subscribe("ch-pnpres", cursor)).body["t"]["t"])
    )
    await http.polls(1)
    await http.advance(300)
    (event,) = payloads(await poll)
    assert event == {
        "action": "timeout",
        "uuid": "ann",
        "timestamp": int(START) + 300,
        "precise_timestamp": int(START * 1000) + 300_000,
        "occupancy": 0,
        "data": {},
    }


async def test_state_in_a_subscribe_request_is_in_its_join(http: OriginHttp) -> None:
    """By channel; JavaScript sends {} when there is none."""
    cursor = await http.cursor("ch-pnpres")
    await http.subscribe("ch", 0, "ann", state='{"ch":{"n":1}}')
    await http.subscribe("ch", 0, "bob", state="{}")
    joins = payloads(await http.subscribe("ch-pnpres", cursor))
    assert [event.get("data") for event in joins] == [{"n": 1}, None]


async def test_a_wildcard_subscriber_is_an_occupant_of_the_literal_channel(http: OriginHttp) -> None:
    """Recorded: it also gets that join by the wildcard although it did not subscribe to presence."""
    cursor = await http.cursor("a.*", "ann")
    (envelope,) = (await http.subscribe("a.*", cursor, "ann")).body["m"]
    assert (envelope["c"], envelope["b"], envelope["d"]["occupancy"]) == ("a.*-pnpres", "a.*", 1)
    assert envelope["u"]["pn_channel"] == "a.%2A"


async def test_wildcard_presence_covers_every_channel_below(http: OriginHttp) -> None:
    cursor = await http.cursor("a.*-pnpres")
    await http.cursor("a.b", "ann")
    (envelope,) = (await http.subscribe("a.*-pnpres", cursor)).body["m"]
    assert (envelope["c"], envelope["b"]) == ("a.b-pnpres", "a.*-pnpres")


async def test_an_ended_connection_leaves_only_where_that_is_on(http: OriginHttp) -> None:
    """Generate Leave on TCP FIN or RST."""
    for on, occupancy in ((False, 1), (True, 0)):
        await http.control("/keysets/demo", "PATCH", {"presence": {"leave_on_close": on}})
        cursor = await http.cursor("ch", "ann")
        poll = asyncio.create_task(http.subscribe("ch", cursor, "ann"))
        await http.polls(1)
        poll.cancel()
        await http.polls(0)
        assert (await http.call(f"{SUB}/channel/ch")).body["occupancy"] == occupancy


async def test_interval_mode_reaches_subscribers(http: OriginHttp) -> None:
    """Above announce max, every interval, quiet or not."""
    await http.control("/keysets/demo", "PATCH", {"presence": {"announce_max": 2, "interval_s": 10}})
    cursor = await http.cursor("ch-pnpres")
    for user in ("a", "b", "c"):
        await http.cursor("ch", user)
    await http.advance(10)
    await http.advance(10)
    events = payloads(await http.subscribe("ch-pnpres", cursor))
    assert [event["action"] for event in events] == ["join", "join", "interval", "interval"]
    assert events[2] == {"action": "interval", "timestamp": int(START) + 10, "occupancy": 3, "join": ["c"]}
    assert events[3] == {"action": "interval", "timestamp": int(START) + 20, "occupancy": 3}
