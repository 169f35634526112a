"""A prediction: everything that is reckoned of one product, as values and as JSON. Pure."""

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

WINDOWS = (0.0, 1.0, 5.0, 10.0, 30.0)
"""Shown beside the one that is asked about."""


@dataclass(frozen=True)
class Prediction:
    """All of it. Money is US dollars a day at list price, as if as many were online all day."""

    product: Product
    prices: Prices
    costs: UnitCosts
    load: Load
    windows: Sequence[tuple[Messages, Cores, Line]]
    """Rising, each with the cores and what inbox push costs; the product's own is among them."""
    messages: Messages
    cores: Cores
    memory: Memory
    shared: Sequence[Line]
    ways: Sequence[Way]
    unknown: dict[str, float]
    storage_month: float

    @property
    def shared_dollars(self) -> float:
        """What every way takes."""
        return sum(line.dollars(self.prices) for line in self.shared)

    @property
    def count_dollars(self) -> float:
        """What status.count takes, its deliveries alone: the figure that surprises."""
        return self.shared[0].edge * self.prices.transaction.edge


def predict(product: Product, prices: Prices, costs: UnitCosts) -> Prediction:
    """Reckons everything."""
    rates = load(product)
    made = messages(rates, product.window)
    windows = [messages(rates, window) for window in sorted({*WINDOWS, product.window})]
    return Prediction(
        product=product,
        prices=prices,
        costs=costs,
        load=rates,
        windows=[
            (one, cores(rates, one, product.friends, costs), cost.push(rates, one, prices)) for one in windows
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
    """The same for programs; money in US dollars a day."""
    prices = found.prices
    return {
        "product": asdict(found.product) | {"people": found.product.people},
        "load": asdict(found.load),
        "windows": [
            asdict(one) | {"cores": asdict(used), "inboxPush": _line(push, prices)}
            for one, used, push in found.windows
        ],
        "cores": asdict(found.cores) | {"used": found.cores.used, "planned": found.cores.planned},
        "memoryBytes": asdict(found.memory),
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


def _line(line: Line, prices: Prices) -> dict[str, Any]:
    return asdict(line) | {"dollars": line.dollars(prices)}
