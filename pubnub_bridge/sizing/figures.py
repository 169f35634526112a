"""Prices and unit costs: two dated files beside this one, or others of their shape. Knows TOML; decides nothing."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph_service.errors import BadInput

HERE = Path(__file__).parent
PRICES, UNIT_COSTS = HERE / "prices.toml", HERE / "unit_costs.toml"
Cost = Annotated[float, Field(ge=0)]
"""Of whatever the name says; never negative."""


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
    """US dollars for what is kept."""

    gigabyte_month: Cost


class Prices(_Table):
    """A list of prices."""

    date: dt.date
    source: str
    classification: str
    transaction: Transaction
    storage: Storage
    unknown: Mapping[str, str]
    """What is not known of the bill, by name."""


class Bridge(_Table):
    """CPU milliseconds of the bridge."""

    batch: Cost
    """For each batch that is settled, however many changes are in it."""
    transition: Cost
    delivery: Cost
    publish: Cost
    second: Cost
    """Of each process, whatever happens."""


class Graph(_Table):
    """CPU milliseconds of Neo4j."""

    batch: Cost
    transition: Cost
    friend: Cost
    """For each friend of who changed, online or not."""
    second: Cost


class Queue(_Table):
    """CPU milliseconds of Valkey."""

    batch: Cost
    transition: Cost
    delivery: Cost
    second: Cost


class Bytes(_Table):
    """Bytes that something takes."""

    hold_user: Cost
    """In the bridge, for a user online."""
    bridge: Cost
    """The bridge's process, with nobody online."""
    seen: Cost
    """A change in its `seen` stream."""
    inbox: Cost
    """Valkey's share of an entry of an `inbox` stream beyond its text, as a factor of the text."""
    why: Cost
    """A user's last changes for GET /v1/why, beyond ids."""
    valkey: Cost
    """Valkey with nothing in it."""
    friendship: Cost
    """On Neo4j's disk, with `since`."""
    friendship_cached: Cost
    """Of it what hot queries read."""
    person: Cost
    """On Neo4j's disk."""
    store: Cost
    """Neo4j's disk with nobody in it."""


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
    """PubNub's. Raises BadFigures."""
    return _read(file, Prices)


def unit_costs(file: Path = UNIT_COSTS) -> UnitCosts:
    """Our own. Raises BadFigures."""
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
