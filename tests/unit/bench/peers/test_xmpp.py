"""The comparison with peers reads stanzas, messages and views, and shows its figures."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.harness.live_users import cursor
from bench.peers import ours, show
from bench.peers.arrivals import Arrivals
from bench.peers.churn import Transition
from bench.peers.views import View, Views
from bench.peers.xmpp import HERE, Client, StanzaListener, mark
from pubnub_bridge.model import encoding

BACK = b"<presence from='u%d@localhost/g1' to='u2@localhost/g1'><status>%s</status></presence>"
REPLY = (
    b"<presence from='u5@localhost/g1' to='u2@localhost/g1'><delay stamp='x'/><status>~1~</status></presence>"
)
TORN = b"<presence from='u6@localh"


class _Sink(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: Any) -> None:
        self.sent += bytes(data)


async def _logged_in(listener: StanzaListener) -> Client:
    client = Client(listener=listener, user=2, generation=1, number=7)
    sink = _Sink()
    client.connection_made(sink)
    client.data_received(b"<success/>")
    client.data_received(b"<iq type='result' id='b'></iq>")
    assert client.ready.done()
    assert sink.sent.endswith(HERE % mark(7))
    return client


async def test_a_reply_to_a_probe_and_the_own_echo_are_no_changes() -> None:
    """Only the stanza of a friend's transition counts."""
    listener = StanzaListener(Arrivals(10), lambda: 3.0)
    client = await _logged_in(listener)
    client.data_received(BACK % (2, mark(7)) + BACK % (4, mark(1)) + REPLY)
    assert (listener.stanzas, listener.replies) == (3, 1)
    assert listener.arrivals.deliveries(0.0, 9.0) == 1
    assert listener.arrivals.freshness([Transition(1, 4, True, 2.5)], [[2]]).p50 == 500.0


async def test_a_torn_stanza_is_read_when_it_is_whole() -> None:
    listener = StanzaListener(Arrivals(10), lambda: 3.0)
    client = await _logged_in(listener)
    whole = BACK % (6, mark(1))
    client.data_received(whole[:30])
    assert listener.stanzas == 0
    client.data_received(whole[30:] + TORN)
    assert listener.stanzas == 1


async def test_a_view_follows_stanzas_of_this_storm_alone() -> None:
    """The end of an old session does not make the friend offline."""
    listener = StanzaListener(Arrivals(10), lambda: 3.0)
    client = await _logged_in(listener)
    views = listener.views = Views({2: {4}})
    client.data_received(BACK % (4, b"-") + b"<presence from='u4@localhost/g0' type='unavailable'/>")
    assert views.wrong == 0
    client.data_received(b"<presence from='u4@localhost/g1' type='unavailable'/>")
    assert views.wrong == 1


def test_changes_are_found_in_a_batch_as_the_bridge_writes_it() -> None:
    came, went = encoding.online("u0000012", "Ann", 5, 6), encoding.offline("u0000013", 5, 5, 7)
    (batch,) = encoding.batches("inbox.u0000001", [(6, came), (7, went)])
    found = [(int(who), kind == b"name") for who, kind in ours.CHANGE.findall(batch)]
    assert found == [(12, True), (13, False)]


def test_the_newest_wins_and_a_sync_is_the_floor() -> None:
    """In any order of arrival."""
    view = View()
    view.apply(1, True, "5")
    view.sync([2], "3")
    assert view.online == {1, 2}
    view.apply(2, False, "2")
    assert view.online == {1, 2}
    view.sync([3], "9")
    assert view.online == {3}


def test_a_view_that_was_right_and_became_wrong_is_wrong() -> None:
    """A storm ends when all views are right and stay right."""
    views = Views({1: {2}, 3: set()})
    for user in (1, 3):
        view = views.view_of(user)
        assert view
        view.online = {2} if user == 1 else set()
        views.judge(user, 5.0 + user)
    assert (views.wrong, views.all_right_at) == (0, 8.0)
    view = views.view_of(3)
    assert view
    view.online = {1}
    views.judge(3, 9.0)
    assert (views.wrong, views.view_of(99)) == (1, None)


def test_the_next_poll_carries_cursor_and_region() -> None:
    assert cursor(b'{"t":{"t":"17000000000000001","r":12},"m":[]}') == b"17000000000000001&tr=12"


SYSTEM = {
    "name": "x",
    "holdSeconds": 0.0,
    "windowSeconds": 0.0,
    "steps": [{"turnsPerSecond": 20.0, "passed": False, "p50Ms": None, "p99Ms": None}],
    "storms": [{"allRightSeconds": 2.0, "wrongViews": 3}],
    "memoryKiBPerOnlineUser": {"afterArrival": {"x": 5.0}, "afterTurns": {"x": 6.0}},
}


def test_the_table_shows_failed_steps_and_views_that_never_became_right() -> None:
    """A missing figure is a dash, not a zero."""
    cells = {row[0]: row[1] for row in show.systems_table([SYSTEM])}
    assert cells["fastest step passed, transitions/s"] == show.NONE
    assert cells["first step failed, transitions/s"] == "20"
    assert cells["all users connect: all views right"] == "2.0 s; 3 never"
    assert cells["freshness at the first step, p50 / p99 ms"] == "– / –"


def test_the_page_names_skipped_parts_and_parts_of_another_run() -> None:
    """Only figures of one run can be compared."""
    machine = {"processor": "p", "cores": 2, "memoryGiB": 1.0, "loadBefore": 0.5}
    parts = {"ejabberd": {"skipped": "no package"}, "ours": SYSTEM | {"run": {"date": "yesterday"}}}
    page = show.page({"command": "c", "date": "today", "machine": machine, "parts": parts})
    assert "Skipped: ejabberd, no package." in page
    assert "From another run: ours, yesterday." in page


def test_the_comparison_page_has_the_table_between_its_marks() -> None:
    """Writing it twice gives the same text."""
    before = f"a\n{show.TABLE_BEGIN}\nstale\n{show.TABLE_END}\nz\n"
    after = show.compared(before, {"ours": SYSTEM})
    assert after.startswith("a\n")
    assert after.endswith("\nz\n")
    assert "stale" not in after
    assert show.compared(after, {"ours": SYSTEM}) == after
