"""Mutants of the rules that every client keeps."""

from __future__ import annotations

from tests.mutants.model import Mutant

FRIEND_LIST = (
    "tests/unit/pubnub_bridge/client/test_friend_list.py",
    "tests/property/test_pipeline_properties.py",
)
FILE = "pubnub_bridge/client/friend_list.py"

MUTANTS = (
    Mutant(
        "client: last to come instead of newest", FILE,
        "        if key < (shown.key if shown else (self._floor, 0, 0)):", "        if False:",
        "A late message overrules a newer one.", FRIEND_LIST,
    ),
    Mutant(
        "client: sync wins over a notification", FILE,
        'self._presence(payload, kind == "friend.online", (ts, 1, payload.get("at", 0)))',
        'self._presence(payload, kind == "friend.online", (ts, -1, payload.get("at", 0)))',
        "Of one clock's two reads the older state stands.", FRIEND_LIST,
    ),
    Mutant(
        "client: lower time may count", FILE,
        'self._presence(payload, kind == "friend.online", (ts, 1, payload.get("at", 0)))',
        'self._presence(payload, kind == "friend.online", (ts, 1, 0))',
        "Of one clock's two notifications the last to come stands.", FRIEND_LIST,
    ),
    Mutant(
        "client: no tombstones", FILE,
        "        if key[0] <= self._removed.get(user, -1):", "        if False:",
        "A late message brings back an ended friendship.", FRIEND_LIST,
    ),
    Mutant(
        "client: no floor", FILE,
        "(shown.key if shown else (self._floor, 0, 0))", "(shown.key if shown else (0, 0, 0))",
        "A late message shows a friend whom a newer sync left out.", FRIEND_LIST,
    ),
    Mutant(
        "client: parts of a sync applied one by one", FILE,
        "        if len(self._parts.have) == self._parts.total:", "        if True:",
        "Friends go offline and come back at every sync.", FRIEND_LIST,
    ),
    Mutant(
        "client: older sync goes on", FILE,
        "        if ts < self._parts.ts:\n            return\n", "",
        "Parts of two syncs make one.", FRIEND_LIST,
    ),
    Mutant(
        "client: asks for nothing", "tests/simulation/world.py",
        "            self.call(self._ask_sync(user))\n", "",
        "Who connects while the events of others are on their way sees none of them.", model=True,
    ),
)  # fmt: skip
