"""Mutants of what lets presence in: polls, webhooks, the presence log, reconciling, look-ups, leases."""

from __future__ import annotations

from tests.mutants.model import Mutant

UNIT = "tests/unit/pubnub_bridge"
SUBSCRIBER = (f"{UNIT}/test_subscriber_room.py",)
PRESENCE = (f"{UNIT}/test_presence.py", f"{UNIT}/test_webhook.py")
LOOKUPS = (f"{UNIT}/test_lookups.py",)
RECONCILE = (f"{UNIT}/test_reconcile.py",)

MUTANTS = (
    Mutant(
        "cursor before the entries", "pubnub_bridge/store/presence_log.py",
        "            await self._valkey.append(entries, {keys.cursor(partition): place})",
        "            await self._valkey.append([], {keys.cursor(partition): place})\n"
        "            await self._valkey.append(entries)",
        "Who dies between the two steps skips the events.", SUBSCRIBER,
    ),
    Mutant(
        "full reply is no gap", "pubnub_bridge/ingest/subscriber.py",
        "if len(envelopes) >= FULL_REPLY:", "if len(envelopes) > FULL_REPLY:",
        "What PubNub's queue dropped is not noticed.", SUBSCRIBER,
    ),
    Mutant(
        "long gap is no gap", "pubnub_bridge/ingest/subscriber.py",
        "if fresh or (failures and time.monotonic() - answered > LONG_GAP):", "if fresh:",
        "What PubNub forgot while polls failed is not noticed.", SUBSCRIBER,
    ),
    Mutant(
        "fresh cursor is no gap", "pubnub_bridge/ingest/subscriber.py",
        "if fresh or (failures and time.monotonic() - answered > LONG_GAP):",
        "if failures and time.monotonic() - answered > LONG_GAP:",
        "A loop that begins without a cursor does not know who came before.", SUBSCRIBER,
        harmless="A fresh cursor comes with a take-over, which reconciles the same shards.",
    ),
    Mutant(
        "stamps of the future stand", "pubnub_bridge/ingest/parser.py",
        "    if at <= now + TOO_FAR_AHEAD:", "    if at:",
        "A wrong clock makes everything after it nothing new.", PRESENCE,
    ),
    Mutant(
        "timeout counts as join", "pubnub_bridge/ingest/parser.py",
        '"timeout": False}', '"timeout": True}', "Who timed out stays online.", PRESENCE,
    ),
    Mutant(
        "counts are not compared", "pubnub_bridge/ingest/parser.py",
        "                if expected != tally.occupancy:", "                if False:",
        "A lost event is not noticed by the number that follows it.", PRESENCE,
    ),
    Mutant(
        "webhook answered before its events are accepted", "pubnub_bridge/api/routes.py",
        "        await side.log.append(heard.seen)",
        '        __import__("asyncio").ensure_future(side.log.append(heard.seen))',
        "PubNub does not send again what was not accepted.", PRESENCE,
    ),
    Mutant(
        "reconcile is not backdated", "pubnub_bridge/debounce/reconciler.py",
        "        at = self.now() - CACHE", "        at = self.now()",
        "A Here Now from before a leave overrules it.", RECONCILE,
    ),
    Mutant(
        "absence is not confirmed", "pubnub_bridge/debounce/reconciler.py",
        'Seen(user, False, at, shard, "reconcile") for user, seen in gone.items() if not seen.online',
        'Seen(user, False, at, shard, "reconcile") for user, seen in gone.items()',
        "Whom a page of Here Now skipped goes offline.", RECONCILE,
    ),
    Mutant(
        "leaves under way are looked up again", "pubnub_bridge/debounce/reconciler.py",
        "missing = [user for user in found.missing if self.observed(user) is not False]",
        "missing = list(found.missing)",
        "After a mass leave thousands are looked up for nothing.", RECONCILE,
    ),
    Mutant(
        "joins under way are repaired again", "pubnub_bridge/debounce/reconciler.py",
        "if self.observed(user) is not True and why_not(user) is None", "if why_not(user) is None",
        "Everybody who has just come is appended once more.", RECONCILE,
    ),
    Mutant(
        "shard that failed is not compared again", "pubnub_bridge/debounce/reconciler.py",
        "                    self._wanted.setdefault(shard)\n", "",
        "One failed call of Here Now leaves a shard wrong.", RECONCILE,
    ),
    Mutant(
        "look-up stamped after its response", "pubnub_bridge/pubnub_api/presence_lookup.py",
        "            at = self._now()\n            names = await self._client.where_now(user)",
        "            names = await self._client.where_now(user)\n            at = self._now()",
        "A leave that comes while Where Now answers is older than what it answers.", LOOKUPS,
    ),
    Mutant(
        "old listing believed", "pubnub_bridge/pubnub_api/presence_lookup.py",
        "return user not in listed.users and at <= listed.asked - CACHE", "return user not in listed.users",
        "A list from before a leave says nothing of it.", LOOKUPS,
    ),
    Mutant(
        "incomplete page believed", "pubnub_bridge/pubnub_api/presence_lookup.py",
        "return frozenset(found.users) if found.occupancy <= len(found.users) < PAGE else None",
        "return frozenset(found.users)",
        "Whom a page does not name counts as gone.", LOOKUPS,
    ),
    Mutant(
        "lost lease not noticed", "pubnub_bridge/partitions/leases.py",
        "            elif partition in self.owned:", "            elif False:",
        "A process that slept goes on owning what another one owns.", (f"{UNIT}/test_ownership.py",),
    ),
    Mutant(
        "leases not given back", "pubnub_bridge/runtime/bridge.py",
        "        await bridge.ownership.close()\n", "",
        "After a stop nobody owns the partitions until the leases end.", (f"{UNIT}/test_settle.py",),
    ),
    Mutant(
        "take-over without reconcile", "pubnub_bridge/runtime/bridge.py",
        "        partitions.taken_over = lambda partition: "
        "self.reconcile.ask(self.side.shards.shards_of(partition))\n", "",
        "What PubNub forgot while nobody polled is not noticed.", RECONCILE,
    ),
    Mutant(
        "conflict let go before its look-up", "pubnub_bridge/partitions/consumer.py",
        "            metrics.DOUBTS.inc()\n", "            metrics.DOUBTS.inc()\n            hold.looked_up(entry)\n",
        "Who dies before the look-up is appended forgets the conflict.", (f"{UNIT}/test_hold.py",),
    ),
)  # fmt: skip
