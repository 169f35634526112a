"""The prediction for a product: rates, messages, money and machines, and how they change with its options."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubnub_bridge.debounce import committer
from pubnub_bridge.fanout.batcher import Batcher, BatchWindow
from pubnub_bridge.model import encoding
from pubnub_bridge.model.notification import Event, Notification
from pubnub_bridge.observe import online_count
from pubnub_bridge.pubnub_api import app_context
from pubnub_bridge.pubnub_api.tokens import STATUS_CHANNEL
from pubnub_bridge.sizing import cost, figures, machines
from pubnub_bridge.sizing.load import BATCH_INTERVAL_SECONDS, batches, load, messages
from pubnub_bridge.sizing.product import LIMITS, BadProduct, Product, option, seconds
from pubnub_bridge.sizing.simulate import as_json, predict
from pubnub_bridge.store import change_history

PRICES, COSTS = figures.prices(), figures.unit_costs()
FULL = Product(500_000)

products = st.builds(
    Product,
    online=st.integers(1, 5_000_000),
    friends=st.integers(0, 5000),
    session=st.floats(60, 86_400),
    online_share=st.floats(0.05, 1),
    window=st.floats(0, 60),
    count_interval=st.floats(1, 600),
    presence=st.sampled_from(["announce", "interval"]),
    app_context=st.sampled_from(["off", "flags", "full"]),
    id_bytes=st.integers(1, 92),
)


def test_half_a_million_online_for_half_an_hour_make_556_transitions_a_second() -> None:
    """The load of the documents."""
    rates = load(FULL)
    assert rates.transitions == pytest.approx(555.6, abs=0.1)
    assert rates.deliveries == pytest.approx(125_000)
    assert rates.events_per_inbox == pytest.approx(0.25)


def test_a_count_every_ten_seconds_to_half_a_million_costs_142_560_dollars_a_day() -> None:
    """8,640 counts, 500,000 edge transactions each, $0.000033: the publishes themselves are a dollar more."""
    found = predict(FULL, PRICES, COSTS)
    assert found.count_dollars == pytest.approx(142_560)
    assert found.shared[0].dollars(PRICES) == pytest.approx(142_560 + 8640 * 0.000123)


def test_a_single_change_costs_what_the_price_list_works_out() -> None:
    """The worked example at 20 friends online: $0.00312 pushed, $0.00078 on a channel, $0.00016 as signals."""
    product = Product(500_000, friends=20, online_share=1.0, session=86_400, id_bytes=36)
    rates = load(product)
    made = messages(rates, 0.0, min_interval=0.0, tick=0.0)
    changes = 86_400 * rates.transitions
    each = [way.dollars(PRICES) / changes for way in cost.ways(rates, made, product, PRICES)]
    assert each == pytest.approx([0.00312, 0.000783, 0.00016])


@given(products, st.integers(2, 5))
def test_more_users_never_need_less(product: Product, times: int) -> None:
    """Of anything: rates, cores, memory, money."""
    less = predict(product, PRICES, COSTS)
    more = predict(replace(product, online=min(50_000_000, product.online * times)), PRICES, COSTS)
    assert more.load.deliveries >= less.load.deliveries
    assert more.messages.publishes >= less.messages.publishes * (1 - 1e-9)
    assert more.cores.used >= less.cores.used * (1 - 1e-9)
    assert more.memory.valkey >= less.memory.valkey * (1 - 1e-9)
    assert more.memory.page_cache >= less.memory.page_cache
    assert more.shared_dollars >= less.shared_dollars * (1 - 1e-9)
    for many, few in zip(more.ways, less.ways, strict=True):
        assert many.dollars(PRICES) >= few.dollars(PRICES) * (1 - 1e-9)


@given(products)
def test_a_longer_window_never_publishes_more_and_never_saves_less_than_nothing(product: Product) -> None:
    """A publish has at least one event."""
    found = predict(product, PRICES, COSTS)
    made = [one.messages for one in found.windows]
    assert all(0 <= one.saved < 1 for one in made)
    assert all(one.publishes <= found.load.deliveries * (1 + 1e-9) for one in made)
    publishes = [one.publishes for one in made]
    assert publishes == sorted(publishes, reverse=True)


@given(products)
def test_the_bill_adds_up(product: Product) -> None:
    """Each total is the sum of its lines, each line its transactions at their prices; nothing is negative."""
    bill = as_json(predict(product, PRICES, COSTS))["dollarsADay"]
    each = PRICES.transaction
    lines = [*bill["shared"], *(line for way in bill["ways"] for line in way["lines"])]
    for line in lines:
        assert min(line["replicated"], line["edge"], line["signals"]) >= 0
        priced = (
            line["replicated"] * each.replicated + line["edge"] * each.edge + line["signals"] * each.signal
        )
        assert line["dollars"] == pytest.approx(priced)
    assert bill["sharedTotal"] == pytest.approx(sum(line["dollars"] for line in bill["shared"]))
    for way in bill["ways"]:
        assert way["total"] == pytest.approx(sum(line["dollars"] for line in way["lines"]))
        assert way["withShared"] == pytest.approx(way["total"] + bill["sharedTotal"])


@given(products)
def test_a_message_is_billed_at_least_its_size(product: Product) -> None:
    """Whole units of 2 KiB: never less than the bytes, never a unit more."""
    rates = load(product)
    made = messages(rates, product.window)
    if made.events:
        units = cost.message_units(rates, made, 2048)
        assert max(1.0, made.size / 2048) * (1 - 1e-6) <= units <= made.size / 2048 + 1 + 1e-6


@pytest.mark.parametrize("tick", [0.0, 0.15])
@pytest.mark.parametrize("window", [0.0, 0.5, 2.0])
def test_the_real_batcher_publishes_what_is_predicted(window: float, tick: float) -> None:
    """Independent events for 200 inboxes at 3 a second each, one by one or in ticks, through the production batcher."""
    chance, rate, inboxes, lasts = random.Random(7), 3.0, 200, 60.0
    batcher, now, published, sent = Batcher(window=BatchWindow()), 0.0, 0, 0
    while now < lasts:
        now += chance.expovariate(rate * inboxes)
        enqueued = math.ceil(now / tick) * tick if tick else now
        while (due := batcher.next_due()) is not None and due < enqueued:
            for batch in batcher.take(due, 1000):
                published += 1
                batcher.done(batch, due)
        event = Event(f"f{sent}", "online", sent, sent, b"")
        batcher.add([Notification(event, [f"i{chance.randrange(inboxes)}"])], enqueued, window)
        sent += 1
    product = Product(inboxes, friends=100, online_share=1.0, session=2 * 100 / rate)
    assert load(product).events_per_inbox == pytest.approx(rate)
    predicted = messages(load(product), window, tick=tick).publishes
    assert published / lasts == pytest.approx(predicted, rel=0.05 if tick else 0.03)


def test_the_commit_interval_is_the_committers() -> None:
    """Prediction and production use the same interval."""
    assert pytest.approx(committer.MIN_INTERVAL_SECONDS + committer.LINGER_SECONDS) == BATCH_INTERVAL_SECONDS


def test_sizes_are_those_of_messages_that_are_published() -> None:
    """A batch of two online and two offline events, as the encoder writes it."""
    sizes, at = load(replace(FULL, id_bytes=8, name_bytes=5)).sizes, 1_764_000_000_000
    online = [encoding.online(f"user{number:04}", "Annie", at, at * 1000) for number in range(2)]
    offline = [encoding.offline(f"user{number:04}", at, at, at * 1000) for number in range(2)]
    made = encoding.batches("user0009", [(at * 1000, body) for body in (*online, *offline)])
    assert [len(body) for body in made] == [pytest.approx(sizes.batch + 4 * sizes.event, abs=4)]


def test_what_the_bill_copies_from_the_product_is_what_the_product_does() -> None:
    """Pure modules cannot import modules with I/O, so these constants exist twice."""
    assert cost.MAX_MEMBERS == app_context.MAX_MEMBERS
    assert cost.CHANNELS_PER_REQUEST == online_count.MAX_CHANNELS
    assert machines.MAX_CHANGES_PER_USER == change_history.MAX_CHANGES
    body = online_count.counted(500_000, 499_000, None, 30, 1_764_000_000_000_000).model_dump_json(
        by_alias=True
    )
    assert len(body) <= cost.COUNT_BYTES
    assert STATUS_CHANNEL == "status.global"


def test_shards_beyond_what_lists_may_hold_are_read_again() -> None:
    """Very many users on one shard: PubNub omits the lists, and every interval is a Here Now of all its pages."""
    lines = cost.shared(replace(FULL, shards=1, partitions=1), load(FULL), PRICES)
    assert any(line.what.startswith("presence events without lists") for line in lines)


def test_a_signal_with_a_long_id_does_not_fit() -> None:
    """64 bytes hold an id of 29 with its ts."""
    assert cost.signal_bytes(29) == 64
    rates, made = load(FULL), messages(load(FULL), 0.0)
    assert "71 bytes of 64" in cost.ways(rates, made, FULL, PRICES)[2].note


def test_the_store_of_the_full_size_run_is_predicted() -> None:
    """500,000 users and 183,094,616 friendships took 13 GB in one manual import."""
    assert machines.store_bytes(500_000, 183_094_616, COSTS) / 1e9 == pytest.approx(13.8, abs=0.3)


@given(st.floats(0.1, 10_000), st.integers(1, 50))
def test_at_higher_rates_more_changes_share_a_commit(changes: float, bridges: int) -> None:
    """Never more commits than changes or than a process can do, and each process has its own."""
    commits = batches(changes, bridges)
    assert 0 < commits <= min(changes, bridges / BATCH_INTERVAL_SECONDS)
    assert batches(2 * changes, bridges) < 2 * commits
    assert batches(changes, bridges + 1) > commits


def test_where_several_bridges_are_needed_each_has_its_base_cost() -> None:
    """The CPU of an idle process, and commits that the others cannot share."""
    costs, small, large = figures.unit_costs(), Product(online=1_000), Product(online=500_000)
    dearer = replace_cost(costs, "bridge", second=costs.bridge.second + 100)
    more = {
        product.online: predict(product, figures.prices(), dearer).cores.bridge
        - predict(product, figures.prices(), costs).cores.bridge
        for product in (small, large)
    }
    assert more[1_000] == pytest.approx(0.1)
    assert more[500_000] > 0.15


def replace_cost(costs: figures.UnitCosts, table: str, **values: float) -> figures.UnitCosts:
    """The same with another price."""
    return costs.model_copy(update={table: getattr(costs, table).model_copy(update=values)})


def test_users_without_friends_cause_no_publishes() -> None:
    """No division by zero."""
    found = predict(replace(FULL, friends=0), PRICES, COSTS)
    assert found.messages.publishes == 0
    assert found.ways[0].dollars(PRICES) == 0


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_an_option_outside_its_limit_is_named_with_the_limit(name: str) -> None:
    """By its command-line name, with both ends."""
    values = {"online": 1, name: LIMITS[name].maximum * 2 + 1}
    with pytest.raises(BadProduct) as refused:
        Product(**values)
    assert option(name) in str(refused.value)
    assert f"{LIMITS[name].maximum:,}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "wanted"), [("30m", 1800), ("1.5h", 5400), ("10", 10), ("250ms", 0.25), ("2d", 172_800)]
)
def test_durations_are_read_with_their_unit(text: str, wanted: float) -> None:
    """Seconds without a unit."""
    assert seconds("session", text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "m", "-5s", "3x", "1e3", "inf", "nan"])
def test_a_malformed_duration_is_rejected_with_its_option(text: str) -> None:
    """And an example."""
    with pytest.raises(BadProduct, match=r"--session.*30m"):
        seconds("session", text)
