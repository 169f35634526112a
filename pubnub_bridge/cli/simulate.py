"""The command simulate: predict the load, machines and bill of a product."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from pubnub_bridge.sizing import figures
from pubnub_bridge.sizing.machines import PLANNED_CPU_SHARE
from pubnub_bridge.sizing.product import AppContext, BadProduct, Presence, Product, option, seconds
from pubnub_bridge.sizing.simulate import Prediction, as_json, predict

PANEL = "Operation"
WIDTH_COLUMNS = 104
"""Without a terminal: rows are not wrapped."""
MIB = 2**20
BYTE_UNITS = ((2**40, "TiB"), (2**30, "GiB"), (MIB, "MiB"), (2**10, "KiB"))

Online = Annotated[int, typer.Option(help="People present at once.")]
Friends = Annotated[int, typer.Option(help="Friends of a user, on average.")]
Session = Annotated[str, typer.Option(help="From arrival to leave, such as 30m.")]
Share = Annotated[float, typer.Option(help="The share of a user's friends who are online.")]
Window = Annotated[
    str, typer.Option(help="BATCH_WINDOW_MIN_SECONDS: how long a notification waits for more.")
]
Hold = Annotated[
    str, typer.Option(help="Debounce time: how long a state must last before friends are notified.")
]
Count = Annotated[str, typer.Option(help="STATUS_COUNT_INTERVAL_SECONDS: between two status.count.")]
How = Annotated[
    str, typer.Option(help="announce (one event for each change) or interval (above Announce Max).")
]
Interval = Annotated[str, typer.Option(help="PubNub's presence interval.")]
Context = Annotated[str, typer.Option(help="APP_CONTEXT: off, flags or full.")]
Shards = Annotated[int, typer.Option(help="PRESENCE_SHARDS, a multiple of --partitions.")]
Partitions = Annotated[int, typer.Option(help="PARTITIONS.")]
IdBytes = Annotated[int, typer.Option(help="Bytes of a user id.")]
PricesFile = Annotated[Path, typer.Option("--prices", help="Another price list of the same shape.")]
CostsFile = Annotated[Path, typer.Option("--unit-costs", help="Unit costs measured on your machine.")]


def add(app: typer.Typer) -> None:
    app.command("simulate", rich_help_panel=PANEL)(simulate_command)


def simulate_command(
    online: Online = 500_000,
    friends: Friends = 750,
    session: Session = "30m",
    online_share: Share = 0.3,
    window: Window = "0s",
    hold: Hold = "5s",
    count_interval: Count = "10s",
    presence: How = "interval",
    interval: Interval = "10s",
    app_context: Context = "full",
    shards: Shards = 100,
    partitions: Partitions = 20,
    id_bytes: IdBytes = 36,
    prices_file: PricesFile = figures.PRICES,
    costs_file: CostsFile = figures.UNIT_COSTS,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict load, cores, memory and PubNub's bill for a product of some size. Starts nothing and calls nothing."""
    product = Product(
        online=online,
        friends=friends,
        session=seconds("session", session),
        online_share=online_share,
        window=seconds("window", window),
        debounce=seconds("debounce", hold),
        count_interval=seconds("count_interval", count_interval),
        presence=cast(Presence, _one_of("presence", presence, ("announce", "interval"))),
        interval=seconds("interval", interval),
        app_context=cast(AppContext, _one_of("app_context", app_context, ("off", "flags", "full"))),
        shards=shards,
        partitions=partitions,
        id_bytes=id_bytes,
    )
    found = predict(product, figures.prices(prices_file), figures.unit_costs(costs_file))
    if json_:
        typer.echo(json.dumps(as_json(found), indent=1))
    else:
        show(found, Console() if sys.stdout.isatty() else Console(width=WIDTH_COLUMNS))


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadProduct(field=option(name), reason=f"'{value}' is none of {', '.join(allowed)}")
    return value


def show(found: Prediction, console: Console) -> None:
    """Print tables: load, machines, money, and what is not known."""
    console.print(_load(found), _windows(found), _machines(found), _bill(found), _ways(found))
    _remarks(found, console)


def _load(found: Prediction) -> Table:
    product, load = found.product, found.load
    table = Table(
        "load",
        "a second",
        "estimated from",
        title=f"{product.online:,} online, {product.friends:,} friends each",
    )
    rows = (
        ("transitions", load.transitions, f"2 × {product.online:,} / {product.session:,g} s"),
        ("deliveries", load.deliveries, f"× {product.friends_online:,g} friends online"),
        ("events for one inbox", load.events_per_inbox, "deliveries / online"),
        (
            "publishes",
            found.messages.publishes,
            f"window {product.window:g} s: {found.messages.events:.2f} events each",
        ),
        ("friends.sync", load.syncs, f"2 for each arrival, {load.sizes.sync:,} bytes each"),
    )
    for what, value, how in rows:
        table.add_row(what, _number(value), how)
    return table


def _windows(found: Prediction) -> Table:
    headings = ("window", "publishes/s", "coalesced", "bytes each", "cores used", "inbox push $/day")
    table = Table(*headings, title="By batch window")
    for one in found.windows:
        made = one.messages
        cells = (f"{made.window:g} s", _number(made.publishes), f"{made.saved:.0%}", _number(made.size))
        style = "bold" if made.window == found.product.window else None
        table.add_row(*cells, f"{one.cores.used:.1f}", _money(one.push.dollars(found.prices)), style=style)
    return table


def _machines(found: Prediction) -> Table:
    used, memory, costs = found.cores, found.memory, found.costs
    table = Table(
        "machines", "needed", "what for", title=f"From costs measured {costs.date} on {costs.machine}"
    )
    planned = f"{used.used:.1f} used, planned with cores {PLANNED_CPU_SHARE:.0%} busy"
    table.add_row("cores", f"{used.planned:.1f}", planned)
    for name, cores in (("bridges", used.bridge), ("Neo4j", used.neo4j), ("Valkey", used.valkey)):
        table.add_row(f"· {name}", f"{cores:.2f}", "used")
    parts = f"{_bytes(memory.valkey_streams)} pending, {_bytes(memory.valkey_change_history)} for CHANGE_HISTORY_HOURS"
    table.add_row("Valkey's memory", _bytes(memory.valkey), parts)
    table.add_row("bridges' memory", _bytes(memory.bridges), "debounce state of all users, one process")
    graph = f"{found.load.friendships:,} friendships of {found.product.users:,} people"
    table.add_row("Neo4j's page cache", _bytes(memory.page_cache), graph)
    table.add_row("Neo4j's disk", _bytes(memory.store), "after an import")
    return table


def _bill(found: Prediction) -> Table:
    prices = found.prices
    table = Table(
        "in every way",
        "replicated/day",
        "edge/day",
        "$/day",
        title=f"PubNub at list price of {prices.date}",
    )
    for line in found.shared:
        table.add_row(line.what, _number(line.replicated), _number(line.edge), _money(line.dollars(prices)))
    table.add_row("total", "", "", _money(found.shared_dollars), style="bold")
    return table


def _ways(found: Prediction) -> Table:
    table = Table("notifying friends by", "$/day", "with the above", "note")
    for way in found.ways:
        dollars = way.dollars(found.prices)
        table.add_row(way.name, _money(dollars), _money(dollars + found.shared_dollars), way.note)
    return table


def _remarks(found: Prediction, console: Console) -> None:
    prices, product = found.prices, found.product
    counts, edge = 86_400 / product.count_interval, prices.transaction.edge
    count = (
        f"status.count every {product.count_interval:g} s to {product.online:,} people is "
        f"{_money(found.count_dollars)} a day: {counts:,.0f} counts × {product.online:,} deliveries × ${edge:.6f}, "
        "an edge transaction each. --count-interval is where to save."
    )
    unknown = [
        f"Not known: {text}; if so, {_money(found.unknown[name])} a day more."
        for name, text in prices.unknown.items()
        if name in found.unknown
    ]
    storage = f"App Context's records are {_money(found.storage_month)} a month of storage."
    basis = (
        f"List prices by the transaction ({prices.source}); a plan by monthly active users replaces them. "
        "As if so many people were online all day, each on one device."
    )
    lines = [count, *unknown, storage, basis]
    for line in lines:
        console.print(f"· {line}", highlight=False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or not value else f"{value:,.3g}"


def _money(value: float) -> str:
    return f"${value:,.0f}" if value >= 10 or not value else f"${value:,.2f}"


def _bytes(value: float) -> str:
    for unit, name in BYTE_UNITS:
        if value >= unit:
            return f"{value / unit:,.1f} {name}"
    return f"{value:,.0f} B"
