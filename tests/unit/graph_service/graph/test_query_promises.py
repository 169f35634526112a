"""What the text of some queries promises, where only a test against a server would see it missing."""

from __future__ import annotations

import pytest

from graph_service.graph.queries import catalogue

ANNOUNCED = ("visibility", "request_or_accept", "unfriend", "block", "unblock", "cancel_request")
"""What others must be notified of."""
FROM_THE_WRITER = ("write_flags", "read_online_friends", "outbox_read", "outbox_done", "online_in_shards")


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_change_that_others_see_leaves_an_outbox_node_in_the_same_statement(name: str) -> None:
    """Whatever dies after its commit."""
    assert "CREATE (:Outbox {" in catalogue()[name].text


@pytest.mark.parametrize("name", FROM_THE_WRITER)
def test_what_is_announced_is_read_from_the_writer(name: str) -> None:
    """A member that lags would return an old state with a new stamp."""
    assert not catalogue()[name].by_any_member


def test_flags_are_written_where_they_are_not_older() -> None:
    """Each of the three clauses that change a user, and each list that says what was changed."""
    text = catalogue()["write_flags"].text
    writes = [line for line in text.splitlines() if "FOREACH" in line]
    assert len(writes) == 3
    assert all("WHEN row[2] >= had" in line for line in writes)


def test_who_was_hidden_is_decided_by_the_time_of_hiding() -> None:
    """So a repeat of an earlier commit is as visible as the commit was."""
    assert "row[2] > coalesce(u.hidden_from, 0)" in catalogue()["write_flags"].text
