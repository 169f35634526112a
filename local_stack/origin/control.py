"""Steers the origin under `/_control/`: keysets, clock, faults, counters, webhooks, snapshots. Ours, not PubNub's.

Knows JSON in and out and what may be changed while the origin runs. Served only where it was started with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from local_stack.origin import strict_json
from local_stack.origin.app import ORIGIN, Origin
from local_stack.origin.call import PARTS
from local_stack.origin.faults import Fault
from local_stack.origin.keyset import Keyset
from local_stack.origin.reply import Family, refused, reply
from local_stack.origin.router import Handler
from local_stack.origin.settings import KeysetSettings
from local_stack.origin.snapshot import Snapshot
from local_stack.origin.webhook_queue import Target

_FAULTS = TypeAdapter(list[Fault])
_TARGETS = TypeAdapter(list[Target])


class UnknownError(LookupError):
    """There is no such keyset, channel or snapshot."""


class NewKeyset(BaseModel):
    """A keyset to add, or to put in the place of one of the same subscribe key."""

    model_config = ConfigDict(extra="forbid")

    publish_key: str
    secret_key: str
    settings: KeysetSettings = KeysetSettings()


class ClockChange(BaseModel):
    """What to do to the clock, in this order; `set` and `advance` are in seconds."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    frozen: bool | None = None
    set: float | None = None
    advance: float | None = None


class Drop(BaseModel):
    """A channel whose presence is forgotten without a word."""

    model_config = ConfigDict(extra="forbid")

    channel: str


@dataclass(frozen=True, slots=True)
class Order:
    """One control request: the origin, the name in its path and its JSON body."""

    origin: Origin
    name: str
    body: Any

    @property
    def keyset(self) -> Keyset:
        """The keyset that is named."""
        keyset = self.origin.keysets.get(self.name)
        if keyset is None:
            raise UnknownError(f"no keyset {self.name!r}")
        return keyset


def overview(order: Order) -> Any:
    """What there is: clock, keysets, open polls, defects so far."""
    origin = order.origin
    polls = {key: keyset.channels.waiters for key, keyset in origin.keysets.items()}
    return {
        "clock": origin.clock.saved(),
        "keysets": list(origin.keysets),
        "polls": polls,
        "errors": origin.errors,
    }


def keyset(order: Order) -> Any:
    """Keys and settings, without the secret."""
    kept = order.keyset
    return {
        "publish_key": kept.publish_key,
        "subscribe_key": kept.subscribe_key,
        "settings": kept.settings.model_dump(),
    }


def add_keyset(order: Order) -> Any:
    """A new keyset; earlier state under the same subscribe key is gone."""
    new = NewKeyset.model_validate(order.body)
    order.origin.add(new.publish_key, order.name, new.secret_key, new.settings)
    return keyset(order)


def configure(order: Order) -> Any:
    """Changes single settings, also below `presence`."""
    order.keyset.configure(TypeAdapter(dict[str, Any]).validate_python(order.body))
    return keyset(order)


def remove_keyset(order: Order) -> Any:
    """From now on the key is unknown."""
    del order.origin.keysets[order.keyset.subscribe_key]
    return {}


def reset(order: Order) -> Any:
    """Forgets all state of a keyset, not its settings."""
    order.keyset.reset()
    return {}


def clock(order: Order) -> Any:
    """Where the clock stands."""
    return order.origin.clock.saved()


def change_clock(order: Order) -> Any:
    """Freezes, sets or advances the clock; on the way everything that falls due happens at its time."""
    change = ClockChange.model_validate(order.body)
    origin = order.origin
    if change.frozen is not None:
        (origin.clock.freeze if change.frozen else origin.clock.thaw)()
    if change.set is not None:
        origin.move(change.set)
    if change.advance is not None:
        origin.move(origin.clock.now + change.advance)
    return origin.clock.saved()


def faults(order: Order) -> Any:
    """The rules in force and how often each kind was applied."""
    kept = order.keyset.faults
    return {"rules": [rule.model_dump() for rule in kept.rules], "applied": kept.applied}


def set_faults(order: Order) -> Any:
    """These rules and no others."""
    order.keyset.faults.rules = _FAULTS.validate_python(order.body)
    return faults(order)


def counters(order: Order) -> Any:
    """How many events were published on each channel."""
    return order.keyset.published


def webhooks(order: Order) -> Any:
    """The targets and what became of their batches."""
    return [
        {
            "target": queue.target.model_dump(),
            "posted": queue.posted,
            "failed": queue.failed,
            "given_up": queue.given_up,
        }
        for queue in order.keyset.webhooks.queues
    ]


def set_webhooks(order: Order) -> Any:
    """These targets and no others."""
    order.keyset.webhooks.aim(_TARGETS.validate_python(order.body))
    return webhooks(order)


def drop_presence(order: Order) -> Any:
    """Loses the presence of one channel."""
    order.keyset.presence.drop(Drop.model_validate(order.body).channel)
    return {}


def take_snapshot(order: Order) -> Any:
    """Keeps the state of all keysets under a name."""
    order.origin.snapshots[order.name] = Snapshot.of(order.origin.clock, order.origin.keysets)
    return {}


def restore_snapshot(order: Order) -> Any:
    """Returns to a kept state."""
    snapshot = order.origin.snapshots.get(order.name)
    if snapshot is None:
        raise UnknownError(f"no snapshot {order.name!r}")
    snapshot.restore(order.origin.clock, order.origin.keysets)
    return {}


def _steering(act: Callable[[Order], Any]) -> Handler:
    """The handler that reads an order, has it carried out and answers, errors included."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            order = Order(
                request[ORIGIN],
                unquote(request[PARTS].get("name", "")),
                strict_json.loads(body) if body else None,
            )
            return reply(act(order), family=Family.ACTIONS)
        except UnknownError as error:
            return refused(str(error), "Control", 404)
        except (ValidationError, ValueError) as error:
            return refused(str(error), "Control")

    return handle


_ORDERS: list[tuple[str, str, Callable[[Order], Any]]] = [
    ("GET", "", overview),
    ("GET", "/clock", clock),
    ("POST", "/clock", change_clock),
    ("GET", "/keysets/{name}", keyset),
    ("PUT", "/keysets/{name}", add_keyset),
    ("PATCH", "/keysets/{name}", configure),
    ("DELETE", "/keysets/{name}", remove_keyset),
    ("POST", "/keysets/{name}/reset", reset),
    ("GET", "/keysets/{name}/faults", faults),
    ("PUT", "/keysets/{name}/faults", set_faults),
    ("GET", "/keysets/{name}/counters", counters),
    ("GET", "/keysets/{name}/webhooks", webhooks),
    ("PUT", "/keysets/{name}/webhooks", set_webhooks),
    ("POST", "/keysets/{name}/drop", drop_presence),
    ("PUT", "/snapshots/{name}", take_snapshot),
    ("POST", "/snapshots/{name}", restore_snapshot),
]
ROUTES = [web.route(method, "/_control" + path, _steering(act)) for method, path, act in _ORDERS]
