"""Mutants of batching, publishing, the outbox relay and the back end's events."""

from __future__ import annotations

from tests.mutants.model import Mutant

UNIT = "tests/unit/pubnub_bridge"
BATCHER = (f"{UNIT}/fanout/test_batcher.py", "tests/property/test_pipeline_properties.py")
PUBLISHER = (f"{UNIT}/fanout/test_publisher.py",)
CIRCUIT = (f"{UNIT}/fanout/test_circuit_breaker.py",)
RELAY = (f"{UNIT}/model/test_notification.py",)

MUTANTS = (
    Mutant(
        "last to come instead of newest", "pubnub_bridge/fanout/batcher.py",
        "        if other.key <= event.key:\n", "        if True:\n",
        "A repeat overrules a newer state in one batch.", BATCHER,
    ),
    Mutant(
        "opposites cancel out", "pubnub_bridge/fanout/batcher.py",
        "        if other.key <= event.key:\n",
        "        if other.kind != event.kind and event.is_presence:\n            del slot[event.user]\n"
        "        elif other.key <= event.key:\n",
        "A repeat may have announced the first of the two already.", BATCHER,
    ),
    Mutant(
        "ended friendship does not silence", "pubnub_bridge/fanout/batcher.py",
        'if friendship is None or friendship.kind != "removed" or friendship.ts < event.ts:', "if True:",
        "Presence goes to somebody who is not a friend any more.", BATCHER,
    ),
    Mutant(
        "older sync stays", "pubnub_bridge/fanout/batcher.py",
        "sync.ts > self.sync.ts", "False",
        "Of two syncs that wait the older one is sent.", BATCHER,
    ),
    Mutant(
        "presence given up without a sync", "pubnub_bridge/fanout/batcher.py",
        "            needs_sync = needs_sync or any(event.is_presence for event in events)\n", "",
        "What could not be published often enough is lost.", BATCHER,
    ),
    Mutant(
        "friend changes given up", "pubnub_bridge/fanout/batcher.py",
        "            events = [event for event in events if not event.is_presence]", "            events = []",
        "A friend change that could not be published often enough is lost.", BATCHER,
    ),
    Mutant(
        "two batches to one inbox at once", "pubnub_bridge/fanout/batcher.py",
        "batch.due > now or inbox in self._in_flight:", "batch.due > now:",
        "Messages to one inbox overtake each other.", BATCHER,
    ),
    Mutant(
        "entries done while older ones wait", "pubnub_bridge/fanout/batcher.py",
        "            if count:\n                break\n", "            if count:\n                continue\n",
        "What was merged into an older batch is deleted before that is published.", BATCHER,
    ),
    Mutant(
        "unread sync dropped in a storm", "pubnub_bridge/fanout/batcher.py",
        "                self._set_aside.append(batch)\n", "                batch.sync = None\n",
        "Who asks while the graph takes no more reads never gets a sync.", BATCHER,
    ),
    Mutant(
        "no interval between batches", "pubnub_bridge/fanout/batcher.py",
        "            batch.due = max(batch.due, self._last[inbox] + self._intervals.min_interval_seconds)\n", "            pass\n",
        "One inbox gets more messages a second than a channel sustains.", BATCHER,
    ),
    Mutant(
        "no interval between syncs", "pubnub_bridge/fanout/batcher.py",
        "self._last_sync[inbox] + self._intervals.min_sync_interval_seconds)", "self._last_sync[inbox])",
        "A client that asks in a loop gets syncs in a loop.", BATCHER,
    ),
    Mutant(
        "window without end", "pubnub_bridge/fanout/batcher.py",
        "min(window.max_seconds, max(window.min_seconds, wanted))", "max(window.min_seconds, wanted)",
        "After an outage notifications wait for minutes.", BATCHER,
    ),
    Mutant(
        "tries are not counted", "pubnub_bridge/fanout/batcher.py",
        "                    batch.tries = max(batch.tries, notification.tries)", "                    batch.tries = 0",
        "What can never be published is tried without end.", PUBLISHER,
    ),
    Mutant(
        "entries deleted when they are read", "pubnub_bridge/fanout/publisher.py",
        "        return [entry for generation in self.batcher.finished() for entry in self._entries.pop(generation)]",
        "        self.batcher.finished()\n"
        "        done = [one for some in self._entries.values() for one in some]\n"
        "        self._entries.clear()\n"
        "        return done",
        "Who dies before publishing loses them.", PUBLISHER,
    ),
    Mutant(
        "failed messages not appended again", "pubnub_bridge/fanout/publisher.py",
        "                    partial(self._inbox.requeue, outbox.partition, failed),\n",
        "                    partial(asyncio.sleep, 0),\n",
        "What could not be published is lost.", PUBLISHER,
    ),
    Mutant(
        "failed messages appended again in the background", "pubnub_bridge/fanout/publisher.py",
        "                await retry_queue(\n"
        "                    partial(self._inbox.requeue, outbox.partition, failed),\n"
        '                    event="publish.requeue",\n'
        "                )\n",
        "                asyncio.ensure_future(retry_queue(\n"
        "                    partial(self._inbox.requeue, outbox.partition, failed),\n"
        '                    event="publish.requeue",\n'
        "                ))\n",
        "The entry may be deleted before what failed is in another one.", PUBLISHER,
    ),
    Mutant(
        "rejected message not dead-lettered", "pubnub_bridge/fanout/publisher.py",
        "                await self._add_dead_letter(partition, inbox, body, result)\n", "",
        "What PubNub refuses vanishes without a trace.", PUBLISHER,
    ),
    Mutant(
        "sync given up while the graph is away", "pubnub_bridge/fanout/publisher.py",
        "            await asyncio.sleep(SYNC_BACKOFF_SECONDS)\n"
        "            return sync", "            return None",
        "Who asked never gets one.", PUBLISHER,
    ),
    Mutant(
        "nothing probes an open circuit", "pubnub_bridge/fanout/publisher.py",
        "else int(not self._in_flight)", "else 0",
        "After an outage nothing is published any more.", PUBLISHER,
    ),
    Mutant(
        "too many calls open the circuit", "pubnub_bridge/fanout/publisher.py",
        "elif not result.rate_limited and self.circuit", "elif self.circuit",
        "An origin that responds counts as a dead one.", PUBLISHER,
    ),
    Mutant(
        "unread syncs are not limited", "pubnub_bridge/fanout/admission.py",
        "            self.limit = max(self._min_syncs, self.limit * 3 // 4)", "            pass",
        "A graph that is slow is asked as much as before.", (f"{UNIT}/fanout/test_admission.py",),
    ),
    Mutant(
        "circuit never opens", "pubnub_bridge/fanout/circuit_breaker.py",
        "self.failures < self.threshold and not self.is_open", "not self.is_open",
        "A dead origin is called as fast as ever.", CIRCUIT,
    ),
    Mutant(
        "circuit forgets successes", "pubnub_bridge/fanout/circuit_breaker.py",
        "        self.failures, self.probe_at, self._seconds, self._probing = 0, None, 0.0, False",
        "        self.probe_at, self._seconds, self._probing = None, 0.0, False",
        "Twenty failures of a whole day open it.", CIRCUIT,
    ),
    Mutant(
        "probes as fast as ever", "pubnub_bridge/fanout/circuit_breaker.py",
        "min(self.max_seconds, self._seconds * 2 or self.min_seconds)", "self.min_seconds",
        "A dead origin is probed every second.", CIRCUIT,
    ),
    Mutant(
        "every batch probes", "pubnub_bridge/fanout/circuit_breaker.py",
        "self.probe_at, self._probing = now + self.max_seconds, True", "self._probing = True",
        "All that waits goes out at once to an origin that may be dead.", CIRCUIT,
    ),
    Mutant(
        "same partition first", "pubnub_bridge/model/round_robin.py",
        "        return ordered[begin:] + ordered[:begin]", "        return ordered",
        "With more to do than room the last partitions starve.", (f"{UNIT}/model/test_round_robin.py",),
    ),
    Mutant(
        "outbox node deleted before its notifications are stored", "pubnub_bridge/fanout/outbox_relay.py",
        "            await self._inbox.append(notifications)\n",
        "            await self._outbox.done([pair.node for pair in pairs])\n"
        "            await self._inbox.append(notifications)\n",
        "A crash in between loses a friend change.", RELAY,
    ),
    Mutant(
        "outbox read without the watermark", "pubnub_bridge/fanout/outbox_relay.py",
        "await self._watermark.read(self._outbox.read)", "await self._outbox.read()",
        "After a fail-over of the graph a friend change carries an older stamp.", RELAY,
    ),
    Mutant(
        "hiding announced only of the online", "pubnub_bridge/fanout/outbox_relay.py",
        "                notifications.add(presence_event(one), one.online_friends)",
        "                notifications.add(presence_event(one), one.online_friends if one.present else [])",
        "Who hides and leaves at the same moment stays online.", RELAY,
    ),
    Mutant(
        "friend changes sent to the online only", "pubnub_bridge/model/friendship_event.py",
        "        if me.exists:", "        if me.exists and me.present:",
        "Who has just come and is not committed yet misses a friend.", RELAY,
    ),
    Mutant(
        "back end not notified of friend changes", "pubnub_bridge/fanout/outbox_relay.py",
        "            await self._append_events(events)\n", "", "The product's back end knows no friend change.", RELAY,
    ),
    Mutant(
        "back end's events deleted before they are posted", "pubnub_bridge/fanout/event_webhook.py",
        "        headers: Mapping[str, str] = {",
        "        await self._valkey.delete({key: [entry for entry, _ in rows]})\n        headers: Mapping[str, str] = {",
        "A back end that is away misses them.", RELAY,
    ),
    Mutant(
        "back end's 503 counts as delivered", "pubnub_bridge/fanout/event_webhook.py",
        "            response.raise_for_status()", "            response.status  # noqa: B018",
        "A back end that responds 503 misses events.", RELAY,
    ),
)  # fmt: skip
