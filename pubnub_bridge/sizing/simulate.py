"""A prediction: all figures of one product, as values and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pubnub_bridge.sizing import cost
from pubnub_bridge.sizing.cost import Line, Way
from pubnub_bridge.sizing.figures import Prices, UnitCosts
from pubnub_bridge.sizing.load import Load, Messages, load, messages
from pubnub_bridge.sizing.machines import Cores, Memory, cores, memory
from pubnub_bridge.sizing.product import Product

WINDOWS_SECONDS = (0.0, 1.0, 5.0, 10.0, 30.0)
"""Predicted in addition to the product's own."""


@dataclass(frozen=True, kw_only=True)
class WindowPrediction:
    """What one batch window makes of the load."""

    messages: Messages
    cores: Cores
    push: Line
    """The bill of inbox push."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """All figures. Money is US dollars a day at list price, as if as many users were online all day."""

    product: Product
    prices: Prices
    costs: UnitCosts
    load: Load
    windows: Sequence[WindowPrediction]
    """In ascending order; the product's own is among them."""
    messages: Messages
    cores: Cores
    memory: Memory
    shared: Sequence[Line]
    ways: Sequence[Way]
    unknown: dict[str, float]
    storage_month: float

    @property
    def shared_dollars(self) -> float:
        """What every way of notifying friends has in common."""
        return sum(line.dollars(self.prices) for line in self.shared)

    @property
    def count_dollars(self) -> float:
        """The deliveries of status.count alone, which are often the largest line."""
        return self.shared[0].edge * self.prices.transaction.edge


def predict(product: Product, prices: Prices, costs: UnitCosts) -> Prediction:
    """The whole prediction."""
    rates = load(product)
    made = messages(rates, product.window)
    windows = [messages(rates, window) for window in sorted({*WINDOWS_SECONDS, product.window})]
    return Prediction(
        product=product,
        prices=prices,
        costs=costs,
        load=rates,
        windows=[
            WindowPrediction(
                messages=one,
                cores=cores(rates, one, product.friends, costs),
                push=cost.push(rates, one, prices),
            )
            for one in windows
        ],
        messages=made,
        cores=cores(rates, made, product.friends, costs),
        memory=memory(product, rates, costs),
        shared=cost.shared(product, rates, prices),
        ways=cost.ways(rates, made, product, prices),
        unknown=cost.unknowns(product, rates, prices),
        storage_month=cost.storage_month(product, prices),
    )


def as_json(found: Prediction) -> dict[str, Any]:
    """As JSON, with the published key names; money in US dollars a day."""
    prices = found.prices
    return {
        "product": _renamed(asdict(found.product), debounce="hold") | {"people": found.product.users},
        "load": _renamed(asdict(found.load), events_per_inbox="news_an_inbox"),
        "windows": [
            _renamed(asdict(one.messages), events="news")
            | {"cores": asdict(one.cores), "inboxPush": _line(one.push, prices)}
            for one in found.windows
        ],
        "cores": asdict(found.cores) | {"used": found.cores.used, "planned": found.cores.planned},
        "memoryBytes": _renamed(asdict(found.memory), valkey_change_history="valkey_why"),
        "prices": {"date": str(prices.date), "source": prices.source, **prices.transaction.model_dump()},
        "unitCosts": {"date": str(found.costs.date), "source": found.costs.source},
        "dollarsADay": {
            "shared": [_line(line, prices) for line in found.shared],
            "sharedTotal": found.shared_dollars,
            "ways": [
                {
                    "name": way.name,
                    "lines": [_line(line, prices) for line in way.lines],
                    "total": way.dollars(prices),
                    "withShared": way.dollars(prices) + found.shared_dollars,
                    "note": way.note,
                }
                for way in found.ways
            ],
            "unknown": found.unknown,
        },
        "appContextStorageDollarsAMonth": found.storage_month,
    }


def _renamed(row: dict[str, Any], **names: str) -> dict[str, Any]:
    """The same row, in the same order, with the published name of each key in `names`."""
    return {names.get(name, name): value for name, value in row.items()}


def _line(line: Line, prices: Prices) -> dict[str, Any]:
    return asdict(line) | {"dollars": line.dollars(prices)}
