"""Prices and unit costs: two dated TOML files next to this module, or others of the same shape, validated."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph_service.errors import BadInput

_FOLDER = Path(__file__).parent
PRICES, UNIT_COSTS = _FOLDER / "prices.toml", _FOLDER / "unit_costs.toml"
Cost = Annotated[float, Field(ge=0)]
"""In the unit of its name; never negative."""


class BadFigures(BadInput):
    """{file}: {reason}"""

    code = "bad_figures"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Transaction(_Table):
    """US dollars for one transaction of each class, and the bytes that one may carry."""

    replicated: Cost
    edge: Cost
    signal: Cost
    unit_bytes: Annotated[int, Field(ge=1)]


class Storage(_Table):
    """US dollars for stored data."""

    gigabyte_month: Cost


class Prices(_Table):
    """A list of prices."""

    date: dt.date
    source: str
    classification: str
    transaction: Transaction
    storage: Storage
    unknown: Mapping[str, str]
    """Unknown charges, by name."""


class Bridge(_Table):
    """CPU milliseconds of the bridge."""

    batch: Cost
    """For each committed batch, however many changes are in it."""
    transition: Cost
    delivery: Cost
    publish: Cost
    second: Cost
    """Of each process, without any load."""


class Graph(_Table):
    """CPU milliseconds of Neo4j."""

    batch: Cost
    transition: Cost
    friend: Cost
    """For each friend of a user who changed, online or not."""
    second: Cost


class Queue(_Table):
    """CPU milliseconds of Valkey."""

    batch: Cost
    transition: Cost
    delivery: Cost
    second: Cost


class Bytes(_Table):
    """Memory and disk."""

    hold_user: Cost
    """In the bridge, for a user online."""
    bridge: Cost
    """The bridge's process, with no user online."""
    seen: Cost
    """A change in the presence log."""
    inbox: Cost
    """Valkey's share of an entry of an `inbox` stream beyond its text, as a factor of the text."""
    why: Cost
    """A user's last changes for GET /v1/why, beyond ids."""
    valkey: Cost
    """Valkey without entries."""
    friendship: Cost
    """On Neo4j's disk, with `since`."""
    friendship_cached: Cost
    """The part of it that hot queries read."""
    person: Cost
    """On Neo4j's disk."""
    store: Cost
    """Neo4j's disk without users."""


class UnitCosts(_Table):
    """What one thing takes, measured."""

    date: dt.date
    source: str
    machine: str
    bridge: Bridge
    neo4j: Graph
    valkey: Queue
    bytes: Bytes


Table = TypeVar("Table", bound=_Table)


def prices(file: Path = PRICES) -> Prices:
    """PubNub's prices. Raises BadFigures."""
    return _read(file, Prices)


def unit_costs(file: Path = UNIT_COSTS) -> UnitCosts:
    """The measured unit costs. Raises BadFigures."""
    return _read(file, UnitCosts)


def _read(file: Path, kind: type[Table]) -> Table:
    try:
        read: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        return kind.model_validate(read)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadFigures(file=file, reason=error) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadFigures(file=file, reason=f"{where}: {first['msg']}") from error
