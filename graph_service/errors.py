"""Every error this service raises on purpose, each with its code and HTTP status.

The docstring of a class is its message; keyword arguments of the constructor fill its braces::

    FriendsError
    ├── BadInput (400)            ├── Forbidden (403)      ├── NotFound (404)
    ├── Conflict (409)            ├── RateLimited (429)    └── Unavailable (503)
    └── SetupError (the operator must act; the process does not start)
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class FriendsError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal"
    """Stable: callers may switch on it; never changes once published."""
    status: ClassVar[int] = 500
    """HTTP status of its problem response."""
    temporary: ClassVar[bool] = False
    """Whether the same call may succeed later, unchanged: retries go by it."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").format(**fields))


class BadInput(FriendsError):
    """{field}: {reason}"""

    code = "bad_input"
    status = 400


class Unauthorized(FriendsError):
    """The caller is not known: {reason}. Send a valid token as 'Authorization: Bearer …'."""

    code = "unauthorized"
    status = 401


class Forbidden(FriendsError):
    """The caller may not do this: {reason}"""

    code = "forbidden"
    status = 403


class NotFound(FriendsError):
    """There is no {what} '{id}'."""

    code = "not_found"
    status = 404


class UserNotFound(NotFound):
    """There is no user '{id}'. Create it first: PUT /v1/users/{id}."""

    code = "user_not_found"


class Conflict(FriendsError):
    """The change does not fit the present state: {reason}"""

    code = "conflict"
    status = 409


class FriendLimitReached(Conflict):
    """'{id}' has reached the limit of {limit} friends."""

    code = "friend_limit_reached"


class PendingLimitReached(Conflict):
    """'{id}' has reached the limit of {limit} pending requests."""

    code = "pending_limit_reached"


class BlockedByCaller(Conflict):
    """You have blocked '{id}'. Remove the block first: DELETE /v1/blocks/{id}."""

    code = "blocked_by_you"


class RateLimited(FriendsError):
    """Too many calls. Try again in {retry_after} s."""

    code = "rate_limited"
    status = 429
    temporary = True


class Unavailable(FriendsError):
    """{what} does not answer. Try again in a moment."""

    code = "unavailable"
    status = 503
    temporary = True


class GraphUnavailable(Unavailable):
    """The graph does not answer: {reason}. Try again in a moment."""

    code = "graph_unavailable"


class QueueUnavailable(Unavailable):
    """The queue does not answer: {reason}. Try again in a moment."""

    code = "queue_unavailable"


class SetupError(FriendsError):
    """{what}. {todo}"""

    code = "setup"
