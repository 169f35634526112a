"""The response to any request is JSON in the shape of a family and never a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from local_stack.origin.app import FAMILIES, Options, Running, start
from local_stack.origin.settings import KeysetSettings

nasty = st.one_of(
    st.sampled_from(
        [
            "demo",
            "ch",
            ",",
            "a,b",
            "a.*",
            "ch-pnpres",
            "0",
            "-1",
            "9" * 25,
            "null",
            "{}",
            "[]",
            '{"a":1}',
            "NaN",
        ]
    ),
    st.sampled_from(
        ["%", "%ff", "%00", "..", "\x00", "\ud7ff", "\\", "'", '"', "a" * 100, "1e400", "[" * 2000]
    ),
    st.text(max_size=12),
)
encoded = nasty.map(lambda text: text if text in ("%", "%ff", ",", "a,b") else quote(text, safe=""))
WORDS = st.sampled_from(
    [
        "v1",
        "v2",
        "v3",
        "subscribe",
        "publish",
        "signal",
        "time",
        "presence",
        "sub-key",
        "channel",
        "uuid",
        "heartbeat",
        "leave",
        "data",
        "objects",
        "uuids",
        "channels",
        "history",
        "history-with-actions",
        "message-counts",
        "message-actions",
        "message",
        "action",
        "channel-registration",
        "channel-group",
        "remove",
        "pam",
        "grant",
        "demo",
        "0",
    ]
)
PATTERNS = st.sampled_from(
    [
        "/v2/subscribe/demo/{}/0",
        "/publish/demo/demo/0/{}/0/{}",
        "/signal/demo/demo/0/{}/0/{}",
        "/v2/presence/sub-key/demo/channel/{}/heartbeat",
        "/v2/presence/sub-key/demo/channel/{}/leave",
        "/v2/presence/sub-key/demo/channel/{}",
        "/v2/presence/sub-key/demo/channel/{}/uuid/{}/data",
        "/v2/presence/sub-key/demo/channel/{}/uuid/{}",
        "/v2/presence/sub-key/demo/uuid/{}",
        "/v1/channel-registration/sub-key/demo/channel-group/{}",
        "/v1/channel-registration/sub-key/demo/channel-group/{}/remove",
        "/v3/history/sub-key/demo/channel/{}",
        "/v3/history/sub-key/demo/message-counts/{}",
        "/v3/history-with-actions/sub-key/demo/channel/{}",
        "/v1/message-actions/demo/channel/{}",
        "/v1/message-actions/demo/channel/{}/message/{}",
        "/v1/message-actions/demo/channel/{}/message/{}/action/{}",
        "/v2/objects/demo/uuids/{}",
        "/v2/objects/demo/uuids/{}/channels",
        "/v2/objects/demo/channels/{}",
        "/v2/objects/demo/channels/{}/uuids",
        "/v2/objects/demo/{}",
        "/v3/pam/demo/grant",
        "/v3/pam/demo/grant/{}",
    ]
)
NAMES = st.sampled_from(
    [
        "tt",
        "uuid",
        "auth",
        "filter-expr",
        "state",
        "heartbeat",
        "channel-group",
        "meta",
        "store",
        "ttl",
        "ptto",
        "seqn",
        "custom_message_type",
        "limit",
        "offset",
        "start",
        "end",
        "max",
        "count",
        "filter",
        "sort",
        "include",
        "add",
        "remove",
        "timetoken",
        "channelsTimetoken",
        "timestamp",
        "signature",
    ]
)
queries = st.lists(st.tuples(NAMES, nasty.map(lambda text: quote(text, safe=""))), max_size=4)
bodies = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.sampled_from([b"{}", b"[]", b'{"set":[1]}', b'{"custom":{"a":{}}}', b"[" * 3000]),
)
paths = st.one_of(
    st.tuples(PATTERNS, st.lists(encoded, min_size=3, max_size=3)).map(lambda pair: pair[0].format(*pair[1])),
    st.lists(st.one_of(WORDS, encoded), max_size=8).map(lambda parts: "/" + "/".join(parts)),
)


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    """One origin whose polls end at once; the test switches Access Manager on and off."""
    running = await start(Options(settings=KeysetSettings(hold_s=0.01)))
    yield running
    await running.close()


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]), paths, queries, bodies, st.booleans())
async def test_no_request_is_ever_a_500(
    running: Running, method: str, path: str, query: list[tuple[str, str]], body: bytes | None, guarded: bool
) -> None:
    """Any method, path, parameters and body; the response is JSON, and no defect is counted."""
    running.origin.keysets["demo"].settings.access_manager = guarded
    url = f"http://127.0.0.1:{running.port}{path}?{'&'.join(f'{name}={value}' for name, value in query)}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(url, encoded=True), data=body) as answer,
    ):
        text = await answer.text()
    assert answer.status < 500 or answer.status == 501, text
    json.loads(text)
    assert running.origin.errors == 0, (method, path, query, body)


async def test_raw_garbage_ends_the_connection_and_not_the_origin(running: Running) -> None:
    post = b"POST /publish/demo/demo/0/ch/0 HTTP/1.1\r\nHost: x\r\n"
    for garbage in (
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        post + b"Content-Length: 10\r\n\r\n123",
        post + b"Content-Length: -1\r\n\r\n",
        post + b"Content-Encoding: deflate\r\nContent-Length: 3\r\n\r\n123",
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
        b"GET  HTTP/1.1\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(garbage)
        writer.write_eof()
        answer = await reader.read()
        assert b" 500 " not in answer.partition(b"\r\n")[0]
        writer.close()
    assert running.origin.errors == 0
    assert len(FAMILIES) == 9
