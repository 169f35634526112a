"""The control API under `/_control/`: keysets, clock, faults, counters, webhooks, snapshots. PubNub has none.

JSON in and out. Served only if the origin was started with `control`.
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
    """A keyset to add; it replaces one of the same subscribe key."""

    model_config = ConfigDict(extra="forbid")

    publish_key: str
    secret_key: str
    settings: KeysetSettings = KeysetSettings()


class ClockChange(BaseModel):
    """Changes to the clock, applied in this order; `set` and `advance` are in seconds."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    frozen: bool | None = None
    set: float | None = None
    advance: float | None = None


class PresenceDrop(BaseModel):
    """A channel whose presence is dropped without an event."""

    model_config = ConfigDict(extra="forbid")

    channel: str


@dataclass(frozen=True, slots=True)
class Command:
    """One control request: the origin, the name in its path and its JSON body."""

    origin: Origin
    name: str
    body: Any

    @property
    def keyset(self) -> Keyset:
        """The keyset named in the path."""
        keyset = self.origin.keysets.get(self.name)
        if keyset is None:
            raise UnknownError(f"no keyset {self.name!r}")
        return keyset


def overview(command: Command) -> Any:
    """Clock, keysets, open polls, defects so far."""
    origin = command.origin
    polls = {key: keyset.channels.waiters for key, keyset in origin.keysets.items()}
    return {
        "clock": origin.clock.saved(),
        "keysets": list(origin.keysets),
        "polls": polls,
        "errors": origin.errors,
    }


def keyset(command: Command) -> Any:
    """Keys and settings, without the secret."""
    selected = command.keyset
    return {
        "publish_key": selected.publish_key,
        "subscribe_key": selected.subscribe_key,
        "settings": selected.settings.model_dump(),
    }


def add_keyset(command: Command) -> Any:
    """Add a keyset; earlier state under the same subscribe key is dropped."""
    new = NewKeyset.model_validate(command.body)
    command.origin.add(new.publish_key, command.name, new.secret_key, new.settings)
    return keyset(command)


def configure(command: Command) -> Any:
    """Change single settings, also below `presence`."""
    command.keyset.configure(TypeAdapter(dict[str, Any]).validate_python(command.body))
    return keyset(command)


def remove_keyset(command: Command) -> Any:
    """Remove a keyset; its key is then unknown."""
    del command.origin.keysets[command.keyset.subscribe_key]
    return {}


def reset(command: Command) -> Any:
    """Drop all state of a keyset; its settings stay."""
    command.keyset.reset()
    return {}


def clock(command: Command) -> Any:
    return command.origin.clock.saved()


def change_clock(command: Command) -> Any:
    """Freeze, set or advance the clock; everything that becomes due in between happens at its time."""
    change = ClockChange.model_validate(command.body)
    origin = command.origin
    if change.frozen is not None:
        (origin.clock.freeze if change.frozen else origin.clock.thaw)()
    if change.set is not None:
        origin.move(change.set)
    if change.advance is not None:
        origin.move(origin.clock.now + change.advance)
    return origin.clock.saved()


def faults(command: Command) -> Any:
    """The current rules and how often each kind was applied."""
    current = command.keyset.faults
    return {"rules": [rule.model_dump() for rule in current.rules], "applied": current.applied}


def set_faults(command: Command) -> Any:
    """Replace all rules."""
    command.keyset.faults.rules = _FAULTS.validate_python(command.body)
    return faults(command)


def counters(command: Command) -> Any:
    """Numbers of published events by channel."""
    return command.keyset.published


def webhooks(command: Command) -> Any:
    """The targets and the results of their batches."""
    return [
        {
            "target": queue.target.model_dump(),
            "posted": queue.posted,
            "failed": queue.failed,
            "given_up": queue.given_up,
        }
        for queue in command.keyset.webhooks.queues
    ]


def set_webhooks(command: Command) -> Any:
    """Replace all targets."""
    command.keyset.webhooks.set_targets(_TARGETS.validate_python(command.body))
    return webhooks(command)


def drop_presence(command: Command) -> Any:
    """Drop the presence of one channel without an event."""
    command.keyset.presence.drop(PresenceDrop.model_validate(command.body).channel)
    return {}


def take_snapshot(command: Command) -> Any:
    """Save the state of all keysets under a name."""
    command.origin.snapshots[command.name] = Snapshot.of(command.origin.clock, command.origin.keysets)
    return {}


def restore_snapshot(command: Command) -> Any:
    """Return to a saved state."""
    snapshot = command.origin.snapshots.get(command.name)
    if snapshot is None:
        raise UnknownError(f"no snapshot {command.name!r}")
    snapshot.restore(command.origin.clock, command.origin.keysets)
    return {}


def _handler(act: Callable[[Command], Any]) -> Handler:
    """A request handler around `act`: parses the command, runs it and responds, errors included."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            command = Command(
                request[ORIGIN],
                unquote(request[PARTS].get("name", "")),
                strict_json.loads(body) if body else None,
            )
            return reply(act(command), family=Family.ACTIONS)
        except UnknownError as error:
            return refused(str(error), "Control", 404)
        except (ValidationError, ValueError) as error:
            return refused(str(error), "Control")

    return handle


_COMMANDS: list[tuple[str, str, Callable[[Command], Any]]] = [
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
ROUTES = [web.route(method, "/_control" + path, _handler(act)) for method, path, act in _COMMANDS]
