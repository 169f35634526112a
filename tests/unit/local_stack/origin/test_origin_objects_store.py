"""App Context state: upserts, eTags, timestamps, responses and events."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.origin.objects_body import InputError, entity_changes, membership_changes
from local_stack.origin.objects_store import (
    PLAIN_MEMBERSHIP_ETAG,
    MissingReferenceError,
    ModifiedError,
    NotFoundError,
    ObjectStore,
    shown,
)

NOW = 17579696638526471


def store(**settings: bool) -> ObjectStore:
    """An empty store."""
    return ObjectStore(**settings)


def test_a_user_has_every_plain_member_and_the_optional_ones_only_when_included() -> None:
    objects = store()
    objects.put("uuid", "u1", {"name": "A", "custom": {"k": "v"}}, NOW)
    record = objects.get("uuid", "u1")
    assert list(shown(record, [])) == ["id", "name", "externalId", "profileUrl", "email", "updated", "eTag"]
    assert shown(record, ["custom", "status"])["custom"] == {"k": "v"}
    assert shown(record, ["custom", "status"])["status"] is None
    assert record["updated"] == "2025-09-15T20:54:23.852647Z"
    assert re.fullmatch("[0-9a-f]{32}", record["eTag"])


def test_omitted_members_stay_null_clears_and_custom_is_replaced() -> None:
    objects = store()
    objects.put("uuid", "u1", {"name": "A", "email": "a@x", "custom": {"a": 1, "b": 2}}, NOW)
    objects.put("uuid", "u1", {"email": None, "custom": {"c": 3}}, NOW + 1)
    record = objects.get("uuid", "u1")
    assert (record["name"], record["email"], record["custom"]) == ("A", None, {"c": 3})


def test_every_change_makes_a_new_etag_and_the_old_one_is_refused() -> None:
    """Also when the content returns to an earlier one."""
    objects = store()
    objects.put("channel", "c1", {"name": "A"}, NOW)
    first = objects.get("channel", "c1")["eTag"]
    objects.put("channel", "c1", {"name": "B"}, NOW + 10, if_match=first)
    objects.put("channel", "c1", {"name": "A"}, NOW + 20)
    assert objects.get("channel", "c1")["eTag"] != first
    with pytest.raises(ModifiedError, match=r"Channel to update has been modified after it was read\."):
        objects.put("channel", "c1", {"name": "C"}, NOW + 30, if_match=first)
    assert objects.get("channel", "c1")["name"] == "A"


def test_an_etag_for_a_user_that_is_not_there_is_refused() -> None:
    objects = store()
    with pytest.raises(ModifiedError, match=r"^User to update"):
        objects.put("uuid", "u1", {}, NOW, if_match="x")
    with pytest.raises(NotFoundError):
        objects.get("uuid", "u1")


def test_only_what_changed_is_announced() -> None:
    """The recorded events of a user, on the channel named like the user."""
    objects = store()
    objects.put("uuid", "u1", {"name": "A", "status": "online"}, NOW)
    (event,) = objects.put("uuid", "u1", {"name": "A", "status": "offline", "custom": {"k": "v"}}, NOW + 10)
    record = objects.get("uuid", "u1")
    assert event.channel == "u1"
    assert event.data == {
        "source": "objects",
        "version": "2.0",
        "event": "set",
        "type": "uuid",
        "data": {
            "id": "u1",
            "status": "offline",
            "custom": {"k": "v"},
            "eTag": record["eTag"],
            "updated": record["updated"],
        },
    }
    (gone,) = objects.remove("uuid", "u1")
    assert gone.data == {
        "source": "objects",
        "version": "2.0",
        "event": "delete",
        "type": "uuid",
        "data": {"id": "u1"},
    }
    assert objects.remove("uuid", "u1") == []


def test_a_membership_is_announced_on_both_ends() -> None:
    """On the channel and on the user's channel, set and deleted."""
    objects = store()
    events = objects.join("u1", "c1", {}, NOW)
    assert [event.channel for event in events] == ["c1", "u1"]
    assert events[0].data["data"] == {
        "channel": {"id": "c1"},
        "uuid": {"id": "u1"},
        "eTag": PLAIN_MEMBERSHIP_ETAG,
        "updated": "2025-09-15T20:54:23.852647100Z",
    }
    events = objects.leave("u1", "c1")
    assert [event.channel for event in events] == ["c1", "u1"]
    assert events[0].data["data"] == {"channel": {"id": "c1"}, "uuid": {"id": "u1"}}
    assert objects.leave("u1", "c1") == []
    assert (len(objects.memberships("u1")), len(objects.members("c1"))) == (0, 0)


def test_a_membership_shows_the_other_end_as_far_as_included() -> None:
    """Only the id by default, the whole metadata by `channel`, and its custom data by `channel.custom`."""
    objects = store()
    objects.put("channel", "c1", {"name": "C", "custom": {"x": 1}}, NOW)
    objects.join("u1", "c1", {"custom": {"y": 2}, "status": "s"}, NOW)
    (membership,) = objects.memberships("u1")
    assert list(shown(membership, [])) == ["channel", "updated", "eTag"]
    assert shown(membership, ["status"])["channel"] == {"id": "c1"}
    assert shown(membership, ["channel"])["channel"]["name"] == "C"
    assert "custom" not in shown(membership, ["channel"])["channel"]
    assert shown(membership, ["custom", "channel.custom"])["channel"]["custom"] == {"x": 1}
    (member,) = objects.members("c1")
    assert shown(member, ["uuid", "custom", "type"])["uuid"] == {"id": "u1"}
    assert shown(member, ["custom", "type"])["type"] is None
    assert member["eTag"] != PLAIN_MEMBERSHIP_ETAG
    assert len(member["eTag"]) == 14


def test_memberships_outlive_their_ends_unless_the_keyset_enforces_integrity() -> None:
    """Both documented behaviours of the switch."""
    loose = store()
    loose.put("uuid", "u1", {}, NOW)
    loose.join("u1", "nowhere", {}, NOW)
    loose.remove("uuid", "u1")
    assert [item["channel"]["id"] for item in loose.memberships("u1")] == ["nowhere"]
    strict = store(integrity=True)
    strict.put("uuid", "u1", {}, NOW)
    with pytest.raises(MissingReferenceError):
        strict.join("u1", "c1", {}, NOW)
    strict.put("channel", "c1", {}, NOW)
    strict.join("u1", "c1", {}, NOW)
    assert [event.data["type"] for event in strict.remove("channel", "c1")] == [
        "channel",
        "membership",
        "membership",
    ]
    assert len(strict.memberships("u1")) == 0


def test_a_list_follows_what_is_created_and_removed() -> None:
    """It stays ordered between changes, and records are built only on access."""
    objects = store()
    for name in ("b", "a", "c"):
        objects.put("uuid", name, {}, NOW)
        assert [record["id"] for record in objects.all("uuid")][-1] >= name
    assert [record["id"] for record in objects.all("uuid")[1:]] == ["b", "c"]
    objects.remove("uuid", "b")
    assert [record["id"] for record in objects.all("uuid")] == ["a", "c"]
    assert len(objects.all("channel")) == 0


CHANGES = st.tuples(
    st.sampled_from(["join", "leave"]), st.sampled_from(["u1", "u2"]), st.sampled_from(["c1", "c2"])
)


@given(st.lists(CHANGES, max_size=30))
def test_both_sides_of_memberships_always_agree(changes: list[tuple[str, str, str]]) -> None:
    """After any joins and leaves a user's channels and a channel's users are one relation."""
    objects, model = store(), set()
    for now, (verb, user, channel) in enumerate(changes):
        if verb == "join":
            objects.join(user, channel, {}, now)
            model.add((user, channel))
        else:
            objects.leave(user, channel)
            model.discard((user, channel))
    by_user = {(user, item["channel"]["id"]) for user in ("u1", "u2") for item in objects.memberships(user)}
    by_channel = {
        (item["uuid"]["id"], channel) for channel in ("c1", "c2") for item in objects.members(channel)
    }
    assert by_user == by_channel == model


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{", "body"),
        (b'{"name": NaN}', "body"),
        (b'{"custom": {"a": 1e999}}', "body"),
        (b"\xff", "body"),
        (b"[" * 100_000, "body"),
        (b'{"x": "' + b"a" * 33_000 + b'"}', "body"),
        (b'{"name": 5}', "name"),
        (b'{"name": "' + b"a" * 2049 + b'"}', "name"),
        (b'{"custom": []}', "custom"),
        (b'{"custom": {"a": {}}}', "custom"),
        (b'{"status": ["x"]}', "status"),
    ],
)
def test_a_body_that_cannot_be_used_is_explained(body: bytes, location: str) -> None:
    """Each error names the member."""
    with pytest.raises(InputError) as refusal:
        entity_changes("uuid", body)
    assert refusal.value.details[0].location == location


def test_unknown_members_are_ignored() -> None:
    """As documented: they do not make a request fail."""
    assert entity_changes("channel", b'{"name": null, "email": 5, "x": {}}') == {"name": None}


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b'{"set": {}}', "set"),
        (b'{"set": [5]}', "set"),
        (b'{"set": [{"uuid": {"id": "u1"}}]}', "set[0].channel.id"),
        (b'{"set": [{"channel": {"id": "c1"}}, {"channel": {"id": "a,b"}}]}', "set[1].channel.id"),
        (b'{"delete": [{"channel": {"id": ""}}]}', "delete[0].channel.id"),
        (b'{"set": [{"channel": {"id": "c1"}, "custom": 5}]}', "set[0].custom"),
    ],
)
def test_a_list_of_memberships_names_the_item_that_is_wrong(body: bytes, location: str) -> None:
    """By its place in the list."""
    with pytest.raises(InputError) as refusal:
        membership_changes("channel", body)
    assert refusal.value.details[0].location == location
