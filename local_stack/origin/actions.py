"""Message actions: what users attached to stored messages (reactions, receipts, edits).

Pure: one user can attach one pair of type and value once to a message; actions are listed by time and grouped by
message for history. It does not check that the message exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_LIMIT = 100


class DuplicateActionError(ValueError):
    """Action Already Added"""


@dataclass(frozen=True, slots=True)
class Action:
    """One action: `timetoken` is its own, `message` that of the message it belongs to."""

    message: int
    type: str
    uuid: str
    value: str
    timetoken: int

    def as_json(self) -> dict[str, str]:
        """The action in a response."""
        return {
            "messageTimetoken": str(self.message),
            "type": self.type,
            "uuid": self.uuid,
            "value": self.value,
            "actionTimetoken": str(self.timetoken),
        }

    def event(self, kind: str) -> dict[str, Any]:
        """Payload of the `e:3` message to subscribers; `kind` is added or removed. The envelope names the user."""
        data = {name: value for name, value in self.as_json().items() if name != "uuid"}
        return {"source": "actions", "version": "1.0", "event": kind, "data": data}


@dataclass(slots=True)
class Actions:
    """All message actions of one keyset: channel -> message timetoken -> action timetoken -> action."""

    _of: dict[str, dict[int, dict[int, Action]]] = field(default_factory=dict)

    def add(self, channel: str, action: Action) -> None:
        """Attach an action. Raises `DuplicateActionError`."""
        held = self._of.setdefault(channel, {}).setdefault(action.message, {})
        same = (action.uuid, action.type, action.value)
        if any(same == (other.uuid, other.type, other.value) for other in held.values()):
            raise DuplicateActionError
        held[action.timetoken] = action

    def remove(self, channel: str, message: int, timetoken: int) -> Action | None:
        """Remove and return an action; None when there is none."""
        of_message = self._of.get(channel, {})
        action = of_message.get(message, {}).pop(timetoken, None)
        if action is not None and not of_message[message]:
            del of_message[message]
        return action

    def forget(self, channel: str, messages: Iterable[int]) -> None:
        """Drop the actions of deleted messages."""
        of_message = self._of.get(channel, {})
        for message in messages:
            of_message.pop(message, None)

    def page(self, channel: str, start: int | None, end: int | None, limit: int) -> tuple[list[Action], bool]:
        """The newest `limit` actions before `start` (exclusive) down to `end` (inclusive), oldest first.

        Also returns whether older ones were left out.
        """
        every = [action for held in self._of.get(channel, {}).values() for action in held.values()]
        found = sorted(
            (
                action
                for action in every
                if (start is None or action.timetoken < start) and (end is None or action.timetoken >= end)
            ),
            key=lambda action: action.timetoken,
        )
        return found[max(0, len(found) - limit) :], len(found) > limit

    def grouped(self, channel: str, message: int) -> dict[str, dict[str, list[dict[str, str]]]]:
        """The actions of a message in history's form: type -> value -> who and when."""
        shown: dict[str, dict[str, list[dict[str, str]]]] = {}
        for action in self._of.get(channel, {}).get(message, {}).values():
            entry = {"uuid": action.uuid, "actionTimetoken": str(action.timetoken)}
            shown.setdefault(action.type, {}).setdefault(action.value, []).append(entry)
        return shown
