"""App Context with the official Python client: CRUD, paging, concurrency by If-Match, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pubnub.callbacks import SubscribeCallback
from pubnub.endpoints.objects_v2.objects_endpoint import ObjectsEndpoint
from pubnub.models.consumer.objects_v2.channel_members import PNUserMember
from pubnub.models.consumer.objects_v2.common import MemberIncludes, MembershipIncludes
from pubnub.models.consumer.objects_v2.memberships import PNChannelMembership
from pubnub.models.consumer.objects_v2.page import Next
from pubnub.models.consumer.objects_v2.sort import PNSortKey, PNSortKeyValue
from pubnub.pubnub_asyncio import AsyncioSubscriptionManager, PubNubAsyncio
from pubnub.request_handlers.async_aiohttp import AsyncAiohttpRequestHandler

from tests.support.origin_client import Client, serving


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A fresh origin."""
    async with serving() as client:
        yield client


@pytest.fixture(autouse=True)
def _forget_headers() -> Iterator[None]:
    """The client stores If-Match in a dict shared by all its calls, so one test would affect the next."""
    yield
    ObjectsEndpoint._custom_headers.clear()


async def test_a_users_profile_is_stored_changed_and_removed(client: Client) -> None:
    """What the bridge writes: name, custom flags; read with and without custom."""
    async with client.sdk("u1") as pubnub:
        flags = {"schemaVersion": "1.0.0", "online": True, "lastSeen": 1.5, "shardId": 3}
        made = await pubnub.set_uuid_metadata().uuid("u1").set_name("Ann").custom(flags).future()
        assert made.result.data["custom"] == flags
        found = await pubnub.get_uuid_metadata().uuid("u1").include_custom(True).future()
        assert (found.result.data["name"], found.result.data["custom"]) == ("Ann", flags)
        plain = await pubnub.get_uuid_metadata().uuid("u1").include_custom(False).future()
        assert "custom" not in plain.result.data
        assert (await pubnub.remove_uuid_metadata().uuid("u1").future()).result is not None
        gone = await pubnub.get_uuid_metadata().uuid("u1").future()
        assert gone.is_error()
        assert "Requested object was not found." in str(gone)


async def test_the_synchronous_client_does_the_same_with_channels(client: Client) -> None:
    """Status and type included; every channel listed with a count."""
    pubnub = client.sync_sdk()

    def run() -> Any:
        pubnub.set_channel_metadata().channel("c1").set_name("C").description("d").set_status("s").sync()
        pubnub.set_channel_metadata().channel("c2").set_type("t").sync()
        found = pubnub.get_channel_metadata().channel("c1").include_status(True).sync().result.data
        listed = pubnub.get_all_channel_metadata().include_total_count(True).sync().result
        pubnub.remove_channel_metadata().channel("c1").sync()
        return found, listed

    found, listed = await asyncio.to_thread(run)
    assert (found["name"], found["description"], found["status"]) == ("C", "d", "s")
    assert ([item["id"] for item in listed.data], listed.total_count) == (["c1", "c2"], 2)


async def test_paging_by_the_clients_own_pages_finds_everyone_once(client: Client) -> None:
    """Twenty-five users, ten a page, sorted by name downwards."""
    async with client.sdk() as pubnub:
        for n in range(25):
            await pubnub.set_uuid_metadata().uuid(f"u{n:02}").set_name(f"N{n:02}").future()
        found, page = [], None
        while True:
            call = pubnub.get_all_uuid_metadata().limit(10).include_total_count(True)
            call = call.sort(PNSortKey.desc(PNSortKeyValue.NAME))
            answer = (await (call.page(page) if page else call).future()).result
            if not answer.data:
                break
            assert answer.total_count == 25
            found += [item["id"] for item in answer.data]
            page = answer.next
            assert isinstance(page, Next)
    assert found == [f"u{n:02}" for n in reversed(range(25))]


async def test_of_two_writers_with_the_same_etag_one_wins(client: Client) -> None:
    """The other gets a 412 and can read again."""
    async with client.sdk() as pubnub:
        made = await pubnub.set_channel_metadata().channel("c1").set_name("A").future()
        etag = made.result.data["eTag"]
        writes = await asyncio.gather(
            *(
                pubnub.set_channel_metadata().channel("c1").set_name(name).if_matches_etag(etag).future()
                for name in "BCDE"
            )
        )
        won = [write for write in writes if not write.is_error()]
        lost = [write for write in writes if write.is_error()]
        assert (len(won), len(lost)) == (1, 3)
        assert {write.status.status_code for write in lost} == {412}
        assert "Channel to update has been modified after it was read." in str(lost[0])
        found = await pubnub.get_channel_metadata().channel("c1").future()
        assert found.result.data["name"] == won[0].result.data["name"]


async def test_memberships_are_set_paged_filtered_and_removed(client: Client) -> None:
    """The friend list that the bridge writes: a hundred members with custom data, one filtered, some removed."""
    everything = MembershipIncludes(
        custom=True, status=True, type=True, total_count=True, channel=True, channel_custom=True
    )
    async with client.sdk("u1") as pubnub:
        await pubnub.set_channel_metadata().channel("c05").set_name("Five").custom({"x": 1}).future()
        wanted = [PNChannelMembership(f"c{n:02}", {"n": n}, "accepted", "friend") for n in range(100)]
        made = (
            await pubnub.set_memberships().channel_memberships(wanted).include(everything).future()
        ).result
        assert (len(made.data), made.total_count) == (100, 100)
        five = made.data[5]
        assert (five["custom"], five["status"], five["type"]) == ({"n": 5}, "accepted", "friend")
        assert (five["channel"]["name"], five["channel"]["custom"]) == ("Five", {"x": 1})
        call = pubnub.get_memberships().filter("custom.n > 97 || channel.name LIKE 'fi*'")
        call = call.sort(PNSortKey.desc(PNSortKeyValue.ID))
        found = (await call.future()).result
        assert [item["channel"]["id"] for item in found.data] == ["c99", "c98", "c05"]
        out = [PNChannelMembership(f"c{n:02}") for n in range(99)]
        left = (await pubnub.remove_memberships().uuid("u1").channel_memberships(out).future()).result
        assert [item["channel"]["id"] for item in left.data] == ["c99"]


async def test_members_are_set_managed_and_listed(client: Client) -> None:
    """The same relation from the channel's side."""
    includes = MemberIncludes(custom=True, user=True, total_count=True)
    async with client.sdk("u1") as pubnub:
        await pubnub.set_uuid_metadata().uuid("a").set_name("Ann").future()
        call = pubnub.set_channel_members().channel("friends.me").include(includes)
        made = (await call.uuids([PNUserMember("a", custom={"k": 1}), PNUserMember("b")]).future()).result
        assert [(item["uuid"].get("name"), item["custom"]) for item in made.data] == [
            ("Ann", {"k": 1}),
            (None, None),
        ]
        change = pubnub.manage_channel_members().channel("friends.me")
        managed = await change.set([PNUserMember("c")]).remove([PNUserMember("a")]).future()
        assert [item["uuid"]["id"] for item in managed.result.data] == ["b", "c"]
        listed = (await pubnub.get_channel_members().channel("friends.me").include(includes).future()).result
        assert listed.total_count == 2


class Heard(SubscribeCallback):
    """A listener that puts every App Context event into a queue."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, str, Any]] = asyncio.Queue()

    def status(self, _pubnub: Any, status: Any) -> None:
        """A change of the connection."""
        self.events.put_nowait(("status", "", status.category))

    def presence(self, _pubnub: Any, presence: Any) -> None:
        """Ignored."""

    def message(self, _pubnub: Any, message: Any) -> None:
        """Ignored."""

    def uuid(self, _pubnub: Any, uuid: Any) -> None:
        self.events.put_nowait(("uuid", uuid.event, uuid.data))

    def channel(self, _pubnub: Any, channel: Any) -> None:
        self.events.put_nowait(("channel", channel.event, channel.data))

    def membership(self, _pubnub: Any, membership: Any) -> None:
        self.events.put_nowait(("membership", membership.event, membership.data))


@pytest.mark.parametrize("kind", ["uuid", "channel", "membership"])
async def test_a_listener_receives_a_change(client: Client, kind: str) -> None:
    """One event a client: the official loops fail on the first App Context event, after calling this listener."""
    pubnub = PubNubAsyncio(
        client.configuration("watcher"),
        subscription_manager=AsyncioSubscriptionManager,
        custom_request_handler=AsyncAiohttpRequestHandler,
    )
    heard = Heard()
    pubnub.add_listener(heard)
    pubnub.subscribe().channels(["u1", "c1"]).execute()
    try:
        async with asyncio.timeout(5), client.sdk("writer") as writer:
            await heard.events.get()
            changes = {
                "uuid": writer.set_uuid_metadata().uuid("u1").set_name("Ann"),
                "channel": writer.set_channel_metadata().channel("c1").set_name("C"),
                "membership": writer.set_memberships()
                .uuid("u2")
                .channel_memberships([PNChannelMembership("c1")]),
            }
            await changes[kind].future()
            kind_of_event, event, data = await heard.events.get()
    finally:
        await pubnub.stop()
    assert (kind_of_event, event) == (kind, "set")
    expected = {
        "uuid": data.get("name") == "Ann",
        "channel": data.get("name") == "C",
        "membership": data.get("uuid") == {"id": "u2"},
    }
    assert expected[kind]
