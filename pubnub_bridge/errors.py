"""Errors of the bridge. A docstring is the message; `code`, `status` and `temporary` are as in `graph_service.errors`."""

from __future__ import annotations

from graph_service.errors import FriendsError, Unavailable


class PubNubUnavailable(Unavailable):
    """PubNub does not respond: {reason}. Try again in a moment."""

    code = "pubnub_unavailable"


class PubNubRefused(FriendsError):
    """PubNub refuses the call {call}: {reason}. Check the keys, the add-ons of the keyset and the clock."""

    code = "pubnub_refused"
    status = 502


class TaskDied(FriendsError):
    """The task {task} ended: {reason}"""

    code = "task_died"
