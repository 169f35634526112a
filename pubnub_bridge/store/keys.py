"""Names of the keys in Valkey. Pure. All keys of a partition share its hash tag, so they live on one node."""

from __future__ import annotations

import re

_PARTITION = re.compile(r"fp:\{(\d+)\}:")


def presence_log(partition: int) -> str:
    """Stream of presence events that are not in the graph yet."""
    return f"fp:{{{partition}}}:seen"


def inbox(partition: int) -> str:
    """Stream of notices that are not published yet."""
    return f"fp:{{{partition}}}:inbox"


def cursor(partition: int) -> str:
    """The subscribe cursor up to which everything stands in `seen`."""
    return f"fp:{{{partition}}}:cursor"


def dead_letters(partition: int) -> str:
    """Stream of messages that PubNub refused for their own sake."""
    return f"fp:{{{partition}}}:dead"


def events(partition: int) -> str:
    """Stream of events for the product's own back end."""
    return f"fp:{{{partition}}}:events"


def change_history(partition: int, user: str) -> str:
    """The last settled changes of a user."""
    return f"fp:{{{partition}}}:why:{user}"


def failed_recipients(partition: int, user: str) -> str:
    """The recipients that the last changes of a user did not reach."""
    return f"fp:{{{partition}}}:failed:{user}"


def owner(partition: int) -> str:
    """The lease of a partition."""
    return f"fp:{{{partition}}}:owner"


def partition_of(key: str) -> int:
    """The partition in a key's hash tag."""
    found = _PARTITION.match(key)
    if found is None:
        raise ValueError(f"{key} carries no partition")
    return int(found[1])


BRIDGES = "fp:bridges"
"""The bridges that are alive, by the end of their heartbeat."""
LEADER = "fp:leader"
"""The lease of the one that runs the jobs."""
WATERMARK = "fp:highest-ts"
"""The highest `ts` that was ever told, microseconds by the graph's clock."""
WAKEUP_CHANNEL = "fp:outbox:nudge"
"""The channel on which a change of friends is announced."""
COUNT = "fp:count"
"""The last status.count, for its delta."""


AUDIT = "fp:audit"
"""Stream of what operators looked at."""
OCCUPANCY = "fp:occupancy"
"""How many are on each shard, from the last count."""


def report(bridge: str) -> str:
    """What a bridge tells the console of itself."""
    return f"fp:report:{bridge}"


def health(partition: int) -> str:
    """How far behind a partition's owner is."""
    return f"fp:{{{partition}}}:health"
