"""Mutants of what lets presence in: polls, webhooks, the presence log, reconciling, look-ups, leases."""

from __future__ import annotations

from tests.mutants.model import Mutant

UNIT = "tests/unit/pubnub_bridge"
SUBSCRIBER = (f"{UNIT}/ingest/test_subscriber.py",)
PRESENCE = (f"{UNIT}/ingest/test_parser.py", f"{UNIT}/ingest/test_webhook.py")
LOOKUPS = (f"{UNIT}/pubnub_api/test_presence_lookup.py",)
RECONCILER = (f"{UNIT}/debounce/test_reconciler.py",)

MUTANTS = (
    Mutant(
        "cursor before the entries", "pubnub_bridge/store/presence_log.py",
        "            await self._valkey.append(entries, {keys.cursor(partition): position})",
        "            await self._valkey.append([], {keys.cursor(partition): position})\n"
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
        "if fresh or (failures and", "if fresh or (False and",
        "What PubNub forgot while polls failed is not noticed.", SUBSCRIBER,
    ),
    Mutant(
        "fresh cursor is no gap", "pubnub_bridge/ingest/subscriber.py",
        "if fresh or (failures and",
        "if (failures and",
        "A loop that begins without a cursor does not know who came before.", SUBSCRIBER,
        harmless="A fresh cursor comes with a take-over, which reconciles the same shards.",
    ),
    Mutant(
        "stamps of the future are kept", "pubnub_bridge/ingest/parser.py",
        "    if at <= now + MAX_AHEAD_MILLISECONDS:", "    if at:",
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
        "webhook response before its events are accepted", "pubnub_bridge/api/routes.py",
        "        await context.presence_log.append(parsed.events)",
        '        __import__("asyncio").ensure_future(context.presence_log.append(parsed.events))',
        "PubNub does not send again what was not accepted.", PRESENCE,
    ),
    Mutant(
        "reconcile is not backdated", "pubnub_bridge/debounce/reconciler.py",
        "        at = self._now() - ", "        at = self._now() - 0 * ",
        "A Here Now from before a leave overrules it.", RECONCILER,
    ),
    Mutant(
        "absence is not confirmed", "pubnub_bridge/debounce/reconciler.py",
        "            if not event.online\n",
        "",
        "Whom a page of Here Now skipped goes offline.", RECONCILER,
    ),
    Mutant(
        "leaves in progress are looked up again", "pubnub_bridge/debounce/reconciler.py",
        " if self._observed(user) is not False",
        "",
        "After a mass leave thousands are looked up for nothing.", RECONCILER,
    ),
    Mutant(
        "joins in progress are repaired again", "pubnub_bridge/debounce/reconciler.py",
        "if self._observed(user) is not True and why_not(user) is None", "if why_not(user) is None",
        "Everybody who has just come is appended once more.", RECONCILER,
    ),
    Mutant(
        "shard that failed is not compared again", "pubnub_bridge/debounce/reconciler.py",
        "                    self._requested.setdefault(shard)\n", "",
        "One failed call of Here Now leaves a shard wrong.", RECONCILER,
    ),
    Mutant(
        "look-up stamped after its response", "pubnub_bridge/pubnub_api/presence_lookup.py",
        "            at = self._now()\n"
        "            names = await self._pubnub.where_now(user)",
        "            names = await self._pubnub.where_now(user)\n"
        "            at = self._now()",
        "A leave that comes during the Where Now is older than its result.", LOOKUPS,
    ),
    Mutant(
        "old listing believed", "pubnub_bridge/pubnub_api/presence_lookup.py",
        "return user not in listing.users and at <= listing.at - HERE_NOW_MAX_AGE_MILLISECONDS", "return user not in listing.users",
        "A list from before a leave says nothing of it.", LOOKUPS,
    ),
    Mutant(
        "incomplete page believed", "pubnub_bridge/pubnub_api/presence_lookup.py",
        "return frozenset(found.users) if complete else None",
        "return frozenset(found.users)",
        "Whom a page does not name counts as gone.", LOOKUPS,
    ),
    Mutant(
        "lost lease not noticed", "pubnub_bridge/partitions/leases.py",
        "            elif partition in self.owned:", "            elif False:",
        "A process that slept goes on owning what another one owns.", (f"{UNIT}/partitions/test_leases.py",),
    ),
    Mutant(
        "leases not given back", "pubnub_bridge/runtime/bridge.py",
        "        await self.leases.close()\n", "",
        "After a stop the partitions have no owner until the leases end.", (f"{UNIT}/debounce/test_committer.py",),
    ),
    Mutant(
        "take-over without reconcile", "pubnub_bridge/runtime/bridge.py",
        "on_assigned=lambda partition: self.reconciler.ask(context.shards.shards_of(partition)),", "on_assigned=lambda partition: None,",
        "What PubNub forgot while no bridge polled is not noticed.", RECONCILER,
    ),
    Mutant(
        "conflict resolved before its look-up", "pubnub_bridge/partitions/conflicts.py",
        "        await retry_forever(partial(self._look_up, user), on=FriendsError, "
        'event="debounce.resolve_conflict")\n'
        "        debouncer.looked_up(entry)\n",
        "        debouncer.looked_up(entry)\n"
        "        await retry_forever(partial(self._look_up, user), on=FriendsError, "
        'event="debounce.resolve_conflict")\n',
        "Who dies before the look-up is appended forgets the conflict.", (f"{UNIT}/debounce/test_debouncer.py",),
    ),
)  # fmt: skip
