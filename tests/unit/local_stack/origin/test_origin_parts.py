"""The small parts: clock, router, parameters, names, faults, the sink."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.call import parsed_query
from local_stack.origin.clock import Clock
from local_stack.origin.envelope import Envelope, event
from local_stack.origin.faults import Fault, Faults
from local_stack.origin.names import channel_error, too_long
from local_stack.origin.reply import Family, reply
from local_stack.origin.router import NoRoute, Router
from local_stack.origin.sink import Sink


class Source:
    """Nanoseconds that a test moves."""

    def __init__(self) -> None:
        self.at = 1_700_000_000 * 10**9

    def __call__(self) -> int:
        """The present moment."""
        return self.at


def test_a_timetoken_counts_100_ns_and_has_17_digits() -> None:
    assert Clock(Source()).timetoken() == 17_000_000_000_000_000


@given(
    st.lists(st.one_of(st.just("token"), st.sampled_from(["freeze", "thaw"]), st.integers(-(10**6), 10**6)))
)
def test_timetokens_never_repeat_whatever_happens_to_the_clock(plan: list[str | int]) -> None:
    source = Source()
    clock, last = Clock(source), 0
    for step in plan:
        if step == "token":
            token = clock.timetoken()
            assert token > last
            last = token
        elif isinstance(step, int):
            clock.advance(step / 1000)
            source.at += abs(step)
        else:
            (clock.freeze if step == "freeze" else clock.thaw)()


def test_a_frozen_clock_stands_and_a_thawed_one_runs_on_from_there() -> None:
    """The time that passed while it was frozen is not made up for."""
    source = Source()
    clock = Clock(source)
    clock.freeze()
    source.at += 10**12
    assert clock.now == 1_700_000_000
    clock.advance(5)
    clock.thaw()
    source.at += 10**9
    assert clock.now == 1_700_000_006
    clock.set(3)
    assert clock.now == 3


def test_a_restored_clock_stands_where_it_stood() -> None:
    """Its timetokens go on from the newest ever given."""
    clock = Clock(Source())
    saved = clock.saved()
    clock.advance(100)
    newest = clock.timetoken()
    clock.restore(saved)
    assert clock.now == 1_700_000_000
    assert clock.timetoken() == newest + 1


def routed(*patterns: str) -> Router:
    """A router whose handlers return their pattern."""

    def handler(pattern: str):
        async def handle(_: web.Request) -> web.Response:
            return web.Response()

        handle.__name__ = pattern
        return handle

    return Router(web.get(pattern, handler(pattern)) for pattern in patterns)


PATTERNS = ("/a/{x}", "/a/b", "/a/{x}/c", "/a/b/{:d|e}/{y}", "/p/{x}/{rest:*}", "/p/{x}/last", "/{any}/z/q")


@pytest.mark.parametrize(
    ("path", "pattern", "names"),
    [
        ("/a/b", "/a/b", {}),
        ("/a/%2C", "/a/{x}", {"x": "%2C"}),
        ("/a/b/c", "/a/{x}/c", {"x": "b"}),
        ("/a/b/d/1", "/a/b/{:d|e}/{y}", {"y": "1"}),
        ("/a/b/e/1", "/a/b/{:d|e}/{y}", {"y": "1"}),
        ("/p/1/2/3//4", "/p/{x}/{rest:*}", {"x": "1", "rest": "2/3//4"}),
        ("/p/1/last", "/p/{x}/last", {"x": "1"}),
        ("/a/z/q", "/{any}/z/q", {"any": "a"}),
    ],
)
def test_a_path_finds_its_handler_and_its_raw_parts(path: str, pattern: str, names: dict[str, str]) -> None:
    """Fixed words first, then names, then the rest; with backtracking."""
    handler, values = routed(*PATTERNS).match("GET", path)
    assert (handler.__name__, values) == (pattern, names)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/", "", "/a", "/a//c", "/a/b/x/1", "/nothing", "/a/"])
def test_an_unknown_path_is_no_route(path: str) -> None:
    with pytest.raises(NoRoute) as caught:
        routed(*PATTERNS).match("GET", path)
    assert caught.value.allowed == ()


def test_a_known_path_says_which_methods_it_has() -> None:
    with pytest.raises(NoRoute) as caught:
        routed("/a/b", "/a/{x}").match("DELETE", "/a/b")
    assert caught.value.allowed == ("GET",)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("a=1&b=%2C&a=2", [("a", "1"), ("b", ","), ("a", "2")]),
        ("a&b=&=c&&", [("a", ""), ("b", ""), ("", "c")]),
        ("a=b=c&d=x+y&e=%FF&f=%", [("a", "b=c"), ("d", "x y"), ("e", "\ufffd"), ("f", "%")]),
    ],
)
def test_parameters_are_read_leniently(query: str, pairs: list[tuple[str, str]]) -> None:
    assert parsed_query(query) == tuple(pairs)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("inbox.u1", None),
        ("c" * 92, None),
        ("c" * 92 + "-pnpres", None),
        ("", "Missing Channel"),
        ("c" * 93, "Channel Name Too Long"),
        ("a:b", "Invalid Channel"),
        ("a b", "Invalid Channel"),
        ("a.*", "Invalid Channel"),
        ("a\x7f", "Invalid Channel"),
    ],
)
def test_what_can_be_published_on(name: str, error: str | None) -> None:
    assert channel_error(name, 92) == error
    assert not too_long(None, 92)


def test_chances_are_repeated_by_their_seed() -> None:
    def struck() -> list[bool]:
        faults = Faults(seed=7)
        faults.rules = [Fault(kind="status", rate=0.5)]
        return [faults.of_call("/x") is not None for _ in range(50)]

    assert struck() == struck()
    assert 10 < sum(struck()) < 40


def test_the_first_rule_that_applies_is_used() -> None:
    """By prefix; used up rules are gone."""
    faults = Faults()
    faults.rules = [Fault(kind="reset", prefix="/a", times=1), Fault(kind="stall")]
    assert [fault.kind for path in ("/b", "/a", "/a") if (fault := faults.of_call(path))] == [
        "stall",
        "reset",
        "stall",
    ]
    assert faults.applied == {"stall": 2, "reset": 1}
    message = event(Envelope(channel="c", payload=1), 1, "k", "5", 1)
    assert not faults.loses(message)
    assert faults.disturbed([("c", message)]) == [("c", message)]


@pytest.mark.parametrize("family", list(Family))
def test_every_family_has_a_content_type_that_javascript_clients_accept(family: Family) -> None:
    """javascript or json, for errors too."""
    headers = reply({}, 400, family).headers
    assert "javascript" in headers["Content-Type"] or "json" in headers["Content-Type"]
    assert headers["Access-Control-Allow-Origin"] == "*"


async def test_the_sink_accepts_publishes_however_they_are_split() -> None:
    """GET and POST, pipelined, byte by byte; with a delay."""
    sink = Sink(delay_ms=1)
    server = await sink.serve("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    get = b"GET /publish/demo/demo/0/ch/0/1 HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /publish/demo/demo/0/ch/0 HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\n\r\n\r\n\r\n"
    for byte in get + post + get:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    writer.write(b"GET /time/0 HTTP/1.1\r\nHost: x\r\n\r\n")
    tokens = []
    for _ in range(3):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        tokens.append(json.loads(await reader.readexactly(30)))
    assert [token[:2] for token in tokens] == [[1, "Sent"]] * 3
    assert len({token[2] for token in tokens}) == 3
    assert (await reader.readuntil(b"\r\n\r\n") and await reader.readexactly(2)) == b"{}"
    assert sink.published == 3
    writer.close()
    server.close()
