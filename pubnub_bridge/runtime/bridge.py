"""Composition of the bridge: what is made of which parts, which tasks run, and how they stop. Decides nothing itself.

Opening order: engines, PubNub's side, its time and token, then the tasks; a partition's loop begins when its lease
is had. Stopping: no more polls and reads → the batch under way settles → letters under way go out → leases are given
back → closed in reverse.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from graph_service.app import open_backends
from graph_service.friends.outbox import Outbox
from graph_service.model.model import PresenceSnapshot
from pubnub_bridge import metrics
from pubnub_bridge.debounce.committer import Around, FlagCommitter
from pubnub_bridge.debounce.debouncer import DebounceTimes
from pubnub_bridge.debounce.reconciler import Reconciler
from pubnub_bridge.debounce.storm_detector import StormThresholds
from pubnub_bridge.fanout import outbox_relay
from pubnub_bridge.fanout.admission import Admission
from pubnub_bridge.fanout.batcher import BatchWindow
from pubnub_bridge.fanout.event_webhook import EventWebhook, WebhookReceiver
from pubnub_bridge.fanout.publisher import PartitionOutbox, Publisher, PublisherParts, PublishLimits
from pubnub_bridge.fanout.sqs_worker import SqsWorker
from pubnub_bridge.fanout.sync_loader import SyncLoader
from pubnub_bridge.ingest.subscriber import Hooks, Subscriber
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.observe.accuracy import Accuracy, settling_seconds
from pubnub_bridge.observe.console import report
from pubnub_bridge.observe.cpu_load import BUSY_SHARE, CpuLoad
from pubnub_bridge.observe.online_count import CountNeeds, OnlineCount
from pubnub_bridge.partitions.consumer import Needs, Partitions
from pubnub_bridge.partitions.leases import Leases, bridge_name
from pubnub_bridge.pubnub_api.publish_client import PublishClient
from pubnub_bridge.runtime import scheduler
from pubnub_bridge.runtime.context import BridgeContext, open_context
from pubnub_bridge.runtime.startup import wait_until_prepared
from pubnub_bridge.runtime.supervisor import run_until_one_ends
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys
from pubnub_bridge.store.health import Health
from pubnub_bridge.store.inbox_streams import InboxStreams

SETTLES, READS = 1.0, 0.1
"""Seconds that a batch of settling, or of owed syncs, takes at most while the graph bears more syncs."""
_log = structlog.get_logger(__name__)


async def run(settings: Settings) -> int:
    """The bridge of one process with engines of its own, until it is cancelled.

    Raises:
        TaskDied: one of its tasks ended.
        SetupError: an engine cannot be used.
        PubNubRefused: PubNub does not accept our keys.
    """
    async with open_backends(settings) as opened, open_context(settings, opened) as context:
        await on(context)
    return 0


async def on(context: BridgeContext) -> None:
    """The bridge on a side that is open already, as beside an API; until it is cancelled. Raises as `run`."""
    await wait_until_prepared(context)
    bridge = Bridge(context)
    try:
        async with scheduler.running(bridge.jobs()):
            await run_until_one_ends(bridge.tasks(), bridge.drain)
    finally:
        await bridge.ownership.close()
        bridge.pool.connections.close()


def debounce_times(settings: Settings) -> DebounceTimes:
    """The holds in milliseconds."""
    return DebounceTimes(
        int(settings.debounce_online_seconds * 1000),
        int(settings.debounce_leave_seconds * 1000),
        int(settings.debounce_timeout_seconds * 1000),
    )


def storm_thresholds(settings: Settings) -> StormThresholds:
    """When there is a storm, and how long is waited then."""
    return StormThresholds(
        on=settings.storm_protection,
        share=settings.storm_min_share,
        least=settings.storm_min_users,
        span=int(settings.storm_detection_seconds * 1000),
        hold=int(settings.storm_debounce_seconds * 1000),
        window=settings.storm_batch_window_seconds,
    )


class Bridge:
    """The parts of a running bridge, wired."""

    def __init__(self, context: BridgeContext) -> None:
        settings = context.settings
        self.context = context
        self.pool = PublishClient(
            keyset=context.keyset, token=context.tokens.server_token, pipeline_depth=settings.publish_pipeline
        )
        self.partitions = Partitions(_needs(context))
        self.events = _events(context, lambda: self.ownership.leads)
        self.committer = FlagCommitter(_around(context, self.events), self.partitions.debouncers)
        self.syncs = SyncLoader(context.flags, context.watermark)
        self.publish = Publisher(
            self.partitions.outboxes, ways(context, self.pool, self.syncs), limits(settings)
        )
        self.over_sqs = self._over_sqs()
        self.admission = Admission(settings.publish_in_flight)
        self.ownership = Leases(context.backends.valkey, bridge_name(), settings.partitions, self.partitions)
        self.reconcile = Reconciler(
            context.flags, context.presence_log, context.presence_lookup, context.shards
        )
        self.reconcile.now = context.clock.now
        self.relay = outbox_relay.OutboxRelay(
            _changes(context), context.inbox_streams, context.watermark, lambda: self.ownership.leads
        )
        self.app_context = context.app_context
        self.busy = CpuLoad()
        self.valid_for = max(1, round(3 * settings.status_count_interval_seconds))
        self.health = Health(
            valkey=context.backends.valkey, partitions=settings.partitions, valid_for_seconds=self.valid_for
        )
        self.counting = OnlineCount(self._count_needs())
        self.report = report.Report(context.backends.valkey, self.ownership, self.partitions)
        self.subscriber = Subscriber(
            context.http_session, context.keyset, context.shards, context.presence_log, self._hooks()
        )
        self._wire()

    def tasks(self) -> dict[str, Awaitable[object]]:
        """All that runs, by name."""
        return {
            "read": self.partitions.run(),
            "settle": self.committer.run(),
            "publish": self.publish.run(),
            "own": self.ownership.run(),
            "reconcile": self.reconcile.run(),
            "relay": self.relay.run(),
            "nudges": self.relay.listen(self.context.backends.valkey),
            "token": self.context.tokens.run(),
            "clock": self.context.clock.run(self.context.http_session, self.context.keyset),
            "subscribe": self.partitions.died,
            "app context": self.app_context.run(under_pressure=self._pressed),
            "events": self.events.run(self.context.settings.partitions),
            "publish time-outs": self.pool.connections.watch(),
        } | self._receiving()

    def _outbounds(self) -> list[PartitionOutbox]:
        over_sqs = self.over_sqs.outboxes if self.over_sqs else {}
        return [*self.partitions.outboxes.values(), *over_sqs.values()]

    def _receiving(self) -> dict[str, Awaitable[object]]:
        notices = self.context.notification_queue
        return {"notices": self.over_sqs.run(notices)} if self.over_sqs and notices else {}

    def jobs(self) -> list[scheduler.Job]:
        """All that happens by the clock; those that only one may do look whether this process leads."""
        settings = self.context.settings
        return [
            scheduler.Job("health", min(5.0, settings.status_count_interval_seconds), self._tell_health),
            scheduler.Job("status.count", settings.status_count_interval_seconds, self._count),
            scheduler.Job(
                "reconcile",
                settings.reconcile_interval_seconds,
                self._reconcile_owned,
                settings.reconcile_interval_seconds,
            ),
            scheduler.Job("console report", report.INTERVAL_SECONDS, self.report.write),
            scheduler.Job("accuracy", 60.0, self._accuracy, 60.0),
        ]

    async def _tell_health(self) -> None:
        ages = self.partitions.ages()
        await self.health.write(ages)
        metrics.OWNED.set(len(self.ownership.owned))
        metrics.SYNC_CONCURRENCY_LIMIT.set(self._admitted())
        metrics.DEBOUNCE_PENDING.set(sum(map(len, self.partitions.debouncers.values())))
        metrics.PUBLISH_PENDING.set(sum(out.batcher.busy for out in self._outbounds()))
        metrics.DEBOUNCE_LAG.set(max((age.debounce_lag_seconds for age in ages.values()), default=0.0))
        for name, key in (("seen", keys.presence_log), ("inbox", keys.inbox), ("dead", keys.dead_letters)):
            lengths = await self.context.backends.valkey.lengths([key(number) for number in ages])
            metrics.STREAM.labels(name).set(sum(lengths))

    async def _count(self) -> None:
        if self.ownership.leads:
            await self.counting.step()

    async def _reconcile_owned(self) -> None:
        self._reconcile_all()

    def _reconcile_all(self) -> None:
        for partition in list(self.ownership.owned):
            self.reconcile.ask(self.context.shards.shards_of(partition))

    async def _accuracy(self) -> None:
        context, size = self.context, self.context.settings.accuracy_sample
        if size and self.ownership.leads:
            shard = random.randrange(context.shards.listened)
            sampling = Accuracy(
                context.flags, context.presence_lookup, size, settling_seconds(context.settings)
            )
            await sampling.sample(shard)

    async def drain(self) -> None:
        """What is under way is finished, for GRACE_SECONDS at most; the rest stays in the streams."""
        grace = self.context.settings.grace_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                self.partitions.stopping = True
                await self.partitions.stop_following()
                await self.committer.drained()
                await self.publish.drained(grace)
                if self.over_sqs:
                    await self.over_sqs.drained(grace)
                await self.publish.clean_up()

    def _wire(self) -> None:
        partitions, publish = self.partitions, self.publish
        partitions.settle_woken = self.committer.woken.set
        partitions.letters_woken = publish.woken.set
        partitions.publish_stopped = lambda: publish.stopped
        partitions.follow = self.subscriber.run
        publish.admitted = self._admitted
        self.committer.took = lambda seconds: self.admission.felt(seconds, SETTLES)
        self.syncs.took = lambda seconds: self.admission.felt(seconds, READS)
        self.relay.events = self.events.keep
        self.committer.told = self._told
        partitions.flapped = self.report.flapped
        self.reconcile.observed = partitions.observed
        self.relay.changed = lambda pairs: self.app_context.touch(
            [end.id for p in pairs for end in (p.a, p.b)]
        )
        partitions.taken_over = lambda partition: self.reconcile.ask(self.context.shards.shards_of(partition))
        # Only after a fail-over of a Cluster: what its lost server alone had is found again.
        self.context.backends.valkey.on_failover = self._reconcile_all

    def _admitted(self) -> int:
        """How many letters may owe a sync now: in a storm as many as the graph bears, else as many as go out."""
        calm = not self.partitions.storms.on
        return self.publish.limits.in_flight if calm else self.admission.room

    def _pressed(self) -> bool:
        """Whether news needs all there is: it goes out late, or this process is busy."""
        share = self.busy.share(time.monotonic(), time.process_time())
        return self.partitions.late or share > BUSY_SHARE

    def _told(self, told: Sequence[PresenceSnapshot]) -> None:
        self.app_context.on_committed(told)
        self.report.told(told)

    def _count_needs(self) -> CountNeeds:
        context = self.context
        return CountNeeds(
            context.pubnub, context.shards, context.backends.valkey, self.health, self.pool, self.valid_for
        )

    def _over_sqs(self) -> SqsWorker | None:
        """With QUEUE_URL notices go that way; the streams still bring what is redriven or was left in them."""
        context, settings = self.context, self.context.settings
        if context.notification_queue is None:
            return None
        how = ways(context, self.pool, self.syncs)
        return SqsWorker(
            settings.partitions, how, context.inbox_streams, limits(settings), batch_window(settings)
        )

    def _hooks(self) -> Hooks:
        context = self.context
        return Hooks(
            token=context.tokens.server_token,
            refused=context.tokens.refused,
            caught_up=self.partitions.caught_up,
            doubtful=self.reconcile.ask,
            now=context.clock.now,
            room=lambda partition: context.backpressure.check([keys.presence_log(partition)]),
        )


def batch_window(settings: Settings) -> BatchWindow:
    """How long news waits for company."""
    return BatchWindow(settings.batch_window_min_seconds, settings.batch_window_max_seconds)


def ways(context: BridgeContext, pool: PublishClient, syncs: SyncLoader) -> PublisherParts:
    """What publishing from the streams leans on."""
    streams = InboxStreams(valkey=context.backends.valkey, partition=context.shards.partition)
    return PublisherParts(
        pool, streams, syncs, context.dead_letters, context.tokens.refused, context.change_history.add_failed
    )


def _changes(context: BridgeContext) -> outbox_relay.Graph:
    return outbox_relay.Graph(
        Outbox(context.backends.graph, context.settings.last_seen_rounding_seconds), context.flags
    )


def _needs(context: BridgeContext) -> Needs:
    settings = context.settings
    return Needs(
        valkey=context.backends.valkey,
        shards=context.shards,
        flags=context.flags,
        inbox=context.inbox_streams,
        log=context.presence_log,
        lookups=context.presence_lookup,
        now=context.clock.now,
        times=debounce_times(settings),
        pace=batch_window(settings),
        marks=storm_thresholds(settings),
    )


def _around(context: BridgeContext, events: EventWebhook) -> Around:
    async def refused(seen: PresenceEvent, reason: str) -> None:
        await context.dead_letters.add_change(context.shards.partition(seen.user), seen, reason)

    return Around(
        flags=context.flags,
        log=context.presence_log,
        inbox=context.inbox_streams,
        watermark=context.watermark,
        lookups=context.presence_lookup,
        change_history=context.change_history,
        now=context.clock.now,
        events=events.keep,
        refused=refused,
        verify_leaves=context.settings.verify_leaves,
    )


def _events(context: BridgeContext, leads: Callable[[], bool]) -> EventWebhook:
    settings, secret = context.settings, context.settings.events_secret
    receiver = WebhookReceiver(settings.events_url, secret.get_secret_value() if secret else "")
    return EventWebhook(
        context.backends.valkey, context.http_session, receiver, context.shards.partition, leads
    )


def limits(settings: Settings) -> PublishLimits:
    """How hard to push."""
    return PublishLimits(
        in_flight=settings.publish_in_flight,
        tries=settings.publish_max_attempts,
        per_second=settings.publish_per_second,
    )
