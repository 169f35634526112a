"""Names of the keys in Valkey. Pure. All keys of a partition share its hash tag, so they live on one node.

The names are stored data: a running deployment contains them, so they do not follow the words of the code.
"""

from __future__ import annotations

import re

_PARTITION = re.compile(r"fp:\{(\d+)\}:")

BRIDGES = "fp:bridges"
"""The live bridges, by the time at which their heartbeat expires."""
LEADER = "fp:leader"
"""The lease of the bridge that runs the jobs that must run once."""
WATERMARK = "fp:highest-ts"
"""The highest `ts` that was ever sent, microseconds by the graph's clock."""
WAKEUP_CHANNEL = "fp:outbox:nudge"
"""The channel that wakes the outbox relay."""
COUNT = "fp:count"
"""The last status.count, for its delta."""
AUDIT = "fp:audit"
"""Stream of what operators looked at."""
OCCUPANCY = "fp:occupancy"
"""How many users are on each shard, from the last count."""


def presence_log(partition: int) -> str:
    """Stream of presence events that are not yet resolved."""
    return f"fp:{{{partition}}}:seen"


def inbox(partition: int) -> str:
    """Stream of notifications that are not yet published."""
    return f"fp:{{{partition}}}:inbox"


def cursor(partition: int) -> str:
    """The subscribe cursor up to which every event is in the presence log."""
    return f"fp:{{{partition}}}:cursor"


def dead_letters(partition: int) -> str:
    """Stream of messages and changes that were rejected as invalid."""
    return f"fp:{{{partition}}}:dead"


def events(partition: int) -> str:
    """Stream of events for the product's own back end."""
    return f"fp:{{{partition}}}:events"


def change_history(partition: int, user: str) -> str:
    """List of the last committed changes of a user."""
    return f"fp:{{{partition}}}:why:{user}"


def failed_recipients(partition: int, user: str) -> str:
    """List of the recipients that the last changes of a user did not reach."""
    return f"fp:{{{partition}}}:failed:{user}"


def owner(partition: int) -> str:
    """The lease of a partition."""
    return f"fp:{{{partition}}}:owner"


def health(partition: int) -> str:
    """How far behind a partition's owner is."""
    return f"fp:{{{partition}}}:health"


def report(bridge: str) -> str:
    """What a bridge reports about its work to the console."""
    return f"fp:report:{bridge}"


def partition_of(key: str) -> int:
    """The partition in a key's hash tag."""
    found = _PARTITION.match(key)
    if found is None:
        raise ValueError(f"{key} carries no partition")
    return int(found[1])
