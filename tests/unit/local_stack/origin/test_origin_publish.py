"""Publish, signal and time over HTTP: successes, limits and the recorded rejections."""

from __future__ import annotations

import asyncio
import json
import re
import zlib

import pytest

from tests.support.origin import OriginHttp, payloads

TIMETOKEN = re.compile(r"[0-9]{17}")


async def test_a_publish_has_the_recorded_response(http: OriginHttp) -> None:
    """[1,"Sent","…"]"""
    reply = await http.publish("ch", {"x": 1})
    assert re.fullmatch(r'\[1,"Sent","[0-9]{17}"\]', reply.text)
    assert reply.headers["Content-Type"] == 'text/javascript; charset="UTF-8"'
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["Access-Control-Allow-Methods"] == "GET"
    assert reply.headers["Cache-Control"] == "no-cache"


async def test_timetokens_rise_over_all_channels(http: OriginHttp) -> None:
    tokens = [int((await http.publish(f"c{number}", 1)).body[2]) for number in range(20)]
    assert tokens == sorted(set(tokens))


@pytest.mark.parametrize("deflate", [None, "zlib", "raw"])
async def test_a_posted_message_arrives_deflated_or_not(http: OriginHttp, deflate: str | None) -> None:
    """With a zlib header and without."""
    cursor = await http.cursor("ch")
    body = json.dumps({"text": "ü" * 50}).encode()
    if deflate:
        packer = zlib.compressobj(wbits=15 if deflate == "zlib" else -15)
        body = packer.compress(body) + packer.flush()
    headers = {"Content-Encoding": "deflate"} if deflate else {}
    reply = await http.call("/publish/demo/demo/0/ch/0?uuid=a", "POST", data=body, headers=headers)
    assert reply.status == 200
    assert payloads(await http.subscribe("ch", cursor)) == [{"text": "ü" * 50}]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/publish/wrong/demo/0/ch/0/1", "Invalid Key"),
        ("/publish/demo/demo/0/ch/0/%7Bno", "Invalid JSON"),
        ("/publish/demo/demo/0/ch/0/NaN", "Invalid JSON"),
        ("/publish/demo/demo/0/ch/0/%FF", "Invalid JSON"),
        ("/publish/demo/demo/0/ch/0/" + "%5B" * 5000, "Invalid JSON"),
        ("/signal/demo/demo/0/ch/0/%22" + "x" * 63 + "%22", "Signal size too large"),
        ("/signal/wrong/demo/0/ch/0/1", "Invalid Key"),
        ("/publish/demo/demo/0/ch/0/1?ttl=-1", "Invalid ttl"),
        ("/publish/demo/demo/0/ch/0/1?ptto=12", "Invalid ptto"),
        ("/publish/demo/demo/0/ch/0/1?meta=%7B", "Invalid meta"),
        ("/publish/demo/demo/0/ch/0/1?custom_message_type=pn_x", "Invalid custom_message_type"),
        ("/publish/demo/demo/0/ch/0/1?custom_message_type=ab", "Invalid custom_message_type"),
        ("/publish/demo/demo/0/" + "c" * 93 + "/0/1", "Channel Name Too Long"),
        ("/publish/demo/demo/0/a%2Fb/0/1", "Invalid Channel"),
        ("/publish/demo/demo/0/a,b/0/1", "Invalid Channel"),
    ],
)
async def test_a_bad_message_is_refused_in_the_shape_of_publish(
    http: OriginHttp, path: str, text: str
) -> None:
    """[0,"…","…"] with status 400."""
    reply = await http.call(path)
    assert reply.status == 400
    assert reply.body[:2] == [0, text]
    assert TIMETOKEN.fullmatch(reply.body[2])


async def test_the_32_kib_of_a_message_are_inclusive(http: OriginHttp) -> None:
    """One byte more is too large."""
    for size, status in ((32 * 1024, 200), (32 * 1024 + 1, 400)):
        body = json.dumps("x" * (size - 2))
        reply = await http.call("/publish/demo/demo/0/ch/0?uuid=a", "POST", data=body)
        assert reply.status == status
    assert reply.body[:2] == [0, "Message Too Large"]


async def test_a_body_of_megabytes_is_refused_and_not_a_defect(http: OriginHttp) -> None:
    """Larger than any body this origin reads."""
    reply = await http.call("/publish/demo/demo/0/ch/0?uuid=a", "POST", data=b"1" * (2 << 20))
    assert reply.status == 413


async def test_a_signal_of_64_bytes_is_sent_and_not_stored(http: OriginHttp) -> None:
    reply = await http.call("/signal/demo/demo/0/ch/0/%22" + "x" * 62 + "%22?uuid=a")
    assert reply.body[:2] == [1, "Sent"]
    assert len(http.keyset.history) == 0


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("uuid=a", 1),
        ("uuid=a&store=0", 0),
        ("uuid=a&store=1&ttl=null", 1),
        ("uuid=a&store=0&norep=1", 0),
        ("ttl=5", 1),
    ],
)
async def test_store_says_what_history_keeps(http: OriginHttp, query: str, kept: int) -> None:
    """Fire is store=0 with norep=1; the Chat SDK sends ttl=null."""
    await http.publish("ch", 1, query)
    assert len(http.keyset.history) == kept


async def test_a_slash_in_the_message_belongs_to_it(http: OriginHttp) -> None:
    cursor = await http.cursor("ch")
    await http.call("/publish/demo/demo/0/ch/0/%22a/b%22?uuid=a")
    assert payloads(await http.subscribe("ch", cursor)) == ["a/b"]


async def test_time_is_one_number(http: OriginHttp) -> None:
    """[17…]"""
    reply = await http.call("/time/0")
    assert re.fullmatch(r"\[[0-9]{17}\]", reply.text)


async def test_a_preflight_is_allowed_everything_clients_send(http: OriginHttp) -> None:
    """Methods and headers of the JavaScript SDK."""
    reply = await http.call("/publish/demo/demo/0/ch/0", "OPTIONS")
    assert reply.status == 200
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert method in reply.headers["Access-Control-Allow-Methods"]
    for header in ("Content-Type", "Content-Encoding", "If-Match"):
        assert header in reply.headers["Access-Control-Allow-Headers"]


async def test_what_is_not_there_is_json_too(http: OriginHttp) -> None:
    """404 and 405."""
    assert (await http.call("/nothing/here")).status == 404
    reply = await http.call("/time/0", "DELETE")
    assert (reply.status, reply.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/auth/grant/sub-key/demo",
        "/v1/push/sub-key/demo/devices/x",
        "/v2/push/sub-key/demo/devices-apns2/x",
        "/v1/files/demo/channels/c/files",
        "/v1/files/publish-file/demo/demo/0/c/0/x",
        "/v2/history/sub-key/demo/channel/c",
        "/v1/objects/demo/users",
    ],
)
async def test_what_is_not_served_says_so(http: OriginHttp, path: str) -> None:
    """501 with a JSON body."""
    reply = await http.call(path)
    assert reply.status == 501
    assert "not served by this local origin" in reply.text


async def test_messages_of_one_moment_come_in_one_response(http: OriginHttp) -> None:
    """A poll that wakes up reads everything published by then."""
    cursor = await http.cursor("ch")
    poll = asyncio.create_task(http.subscribe("ch", cursor))
    await http.polls(1)
    from local_stack.origin.envelope import Envelope

    for number in range(3):
        http.keyset.publish(Envelope(channel="ch", payload=number))
    assert payloads(await poll) == [0, 1, 2]


@pytest.mark.parametrize(
    ("query", "heard"), [("norep=true", []), ("norep=1&store=0", []), ("norep=false", [1])]
)
async def test_a_fired_message_reaches_no_subscriber(http: OriginHttp, query: str, heard: list[int]) -> None:
    """Documented; a setting delivers it anyway."""
    cursor = await http.cursor("ch")
    await http.publish("ch", 1, query)
    await http.control("/keysets/demo", "PATCH", {"deliver_unreplicated": True})
    await http.publish("ch", 2, query)
    assert payloads(await http.subscribe("ch", cursor)) == [*heard, 2]


async def test_ids_over_92_characters_are_refused_by_every_family(http: OriginHttp) -> None:
    """The suffix of presence does not count."""
    long = "c" * 93
    assert (await http.publish("ch", 1, f"uuid={long}")).body[:2] == [0, "Invalid UUID"]
    for channels, uuid in ((long, ""), (long + "-pnpres", ""), ("ch", long)):
        assert (await http.subscribe(channels, 0, uuid)).status == 400
    assert (await http.subscribe("c" * 92 + "-pnpres", 0, "u" * 92)).status == 200


async def test_the_publishers_own_timetoken_is_echoed_and_kept(http: OriginHttp) -> None:
    """In the answer and in history; what is delivered has the origin's as well."""
    reply = await http.publish("ch", 1, "uuid=a&ptto=15808218148795199")
    assert reply.body == [1, "Sent", "15808218148795199"]
    history = await http.call("/v3/history/sub-key/demo/channel/ch")
    assert history.body["channels"]["ch"][0]["timetoken"] == "15808218148795199"
