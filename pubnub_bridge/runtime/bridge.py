"""Composition of the bridge: builds every part in the order of its dependencies, and decides nothing.

Start: backends, context, PubNub's time and token, then the tasks; a partition's subscribe loop begins with its lease.
Stop: no more polls and reads, then the batches in progress are committed and published, then the leases are given
back, then everything is closed in reverse order.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from graph_service.app import open_backends
from graph_service.friends.outbox import Outbox
from graph_service.model.model import ChangedPair, PresenceSnapshot
from pubnub_bridge import metrics
from pubnub_bridge.debounce.committer import FlagCommitter
from pubnub_bridge.debounce.debouncer import DebounceTimes
from pubnub_bridge.debounce.reconciler import Reconciler
from pubnub_bridge.debounce.storm_detector import (
    STORM_BATCH_WINDOW_SECONDS,
    STORM_DETECTION_SECONDS,
    STORM_MIN_SHARE,
    StormThresholds,
)
from pubnub_bridge.fanout.admission import Admission
from pubnub_bridge.fanout.batch_window import BatchWindowController
from pubnub_bridge.fanout.batcher import BATCH_WINDOW_MAX_SECONDS, BatchWindow
from pubnub_bridge.fanout.event_webhook import EventWebhook, WebhookReceiver
from pubnub_bridge.fanout.outbox_relay import OutboxRelay
from pubnub_bridge.fanout.publisher import PUBLISH_MAX_ATTEMPTS, PartitionOutbox, Publisher, PublishLimits
from pubnub_bridge.fanout.sqs_worker import SqsWorker
from pubnub_bridge.fanout.sync_loader import SyncLoader
from pubnub_bridge.ingest.subscriber import Subscriber
from pubnub_bridge.model.presence_event import PresenceEvent
from pubnub_bridge.observe.accuracy import Accuracy, settling_seconds
from pubnub_bridge.observe.console import report
from pubnub_bridge.observe.cpu_load import BUSY_SHARE, CpuLoad
from pubnub_bridge.observe.online_count import OnlineCount
from pubnub_bridge.partitions.assignment import Assignment
from pubnub_bridge.partitions.conflicts import ConflictResolver
from pubnub_bridge.partitions.consumer import Consumer
from pubnub_bridge.partitions.leases import LEASE_MILLISECONDS, Leases, bridge_name
from pubnub_bridge.partitions.registry import PartitionRegistry
from pubnub_bridge.partitions.storm_controller import StormController
from pubnub_bridge.pubnub_api.publish_client import MAX_PIPELINED_PUBLISHES, PublishClient
from pubnub_bridge.runtime import scheduler
from pubnub_bridge.runtime.context import BridgeContext, open_context
from pubnub_bridge.runtime.startup import wait_until_prepared
from pubnub_bridge.runtime.supervisor import supervise
from pubnub_bridge.settings import Settings
from pubnub_bridge.store import keys
from pubnub_bridge.store.health import Ages, Health
from pubnub_bridge.store.inbox_streams import InboxStreams

TARGET_COMMIT_SECONDS, TARGET_READ_SECONDS = 1.0, 0.1
"""What a batch of commits, or of syncs, takes at most while the graph sustains more syncs."""
ACCURACY_INTERVAL_SECONDS = 60.0
MAX_HEALTH_INTERVAL_SECONDS = 5.0


async def run(settings: Settings) -> int:
    """The bridge of one process with its own backends, until it is cancelled.

    Raises:
        TaskDied: one of its tasks ended.
        SetupError: a backend cannot be used.
        PubNubRefused: PubNub does not accept our keys.
    """
    async with open_backends(settings) as opened, open_context(settings, opened) as context:
        await on(context)
    return 0


async def on(context: BridgeContext) -> None:
    """The bridge on a context that is open already, as next to an API; until it is cancelled. Raises as `run`."""
    await wait_until_prepared(context)
    bridge = Bridge(context, name=bridge_name())
    try:
        async with scheduler.running(bridge.jobs()):
            await supervise(bridge.tasks(), drain=bridge.drain)
    finally:
        await bridge.close()


class Bridge:
    """The parts of a running bridge."""

    def __init__(
        self, context: BridgeContext, *, name: str, lease_milliseconds: int = LEASE_MILLISECONDS
    ) -> None:
        self.context = context
        self.cpu_load = CpuLoad()
        self.activity = report.UserActivity()
        self.registry = PartitionRegistry(shards=context.shards)
        self.storms = StormController(
            registry=self.registry,
            thresholds=storm_thresholds(context.settings),
            shards=context.shards,
            now=context.clock.now,
        )
        self._build_fanout()
        self._build_consumer()
        self._build_ingest()
        self._build_partitions(name, lease_milliseconds)
        self._build_debounce()
        self._build_relay()
        self._build_observers()

    def _build_fanout(self) -> None:
        context, settings = self.context, self.context.settings
        self.admission = Admission(max_syncs=settings.publish_in_flight)
        self.publish_client = PublishClient(
            keyset=context.keyset, token=context.tokens.server_token, pipeline_depth=MAX_PIPELINED_PUBLISHES
        )
        self.syncs = SyncLoader(
            flags=context.flags,
            watermark=context.watermark,
            on_read_seconds=lambda seconds: self.admission.observe(
                seconds, target_seconds=TARGET_READ_SECONDS
            ),
        )
        self.publisher = build_publisher(
            context,
            outboxes=self.registry.outboxes,
            wakeup=self.registry.publish_wakeup,
            client=self.publish_client,
            inbox=InboxStreams(valkey=context.backends.valkey, partition=context.shards.partition),
            syncs=self.syncs,
            max_syncs=self._max_syncs,
        )
        self.windows = BatchWindowController(
            window=batch_window(settings),
            outboxes=self.registry.outboxes,
            wakeup=self.registry.publish_wakeup,
        )
        # With QUEUE_URL notifications go that way; the streams still bring what is redriven or was left in them.
        self.sqs_worker = context.notification_queue and build_sqs_worker(
            context, client=self.publish_client, inbox=context.inbox_streams, syncs=self.syncs
        )

    def _build_consumer(self) -> None:
        context = self.context
        self.conflicts = ConflictResolver(lookups=context.presence_lookup, log=context.presence_log)
        self.consumer = Consumer(
            registry=self.registry,
            valkey=context.backends.valkey,
            inbox=context.inbox_streams,
            conflicts=self.conflicts,
            storms=self.storms,
            windows=self.windows,
            publishing_stopped=lambda: self.publisher.stopped,
            on_flaps=self.activity.flapped,
            now=context.clock.now,
        )

    def _build_ingest(self) -> None:
        context = self.context
        self.reconciler = Reconciler(
            flags=context.flags,
            log=context.presence_log,
            lookups=context.presence_lookup,
            shards=context.shards,
            observed=self.registry.observed,
            now=context.clock.now,
        )
        self.subscriber = Subscriber(
            session=context.http_session,
            keyset=context.keyset,
            shards=context.shards,
            log=context.presence_log,
            token=context.tokens.server_token,
            check_backpressure=self._check_backpressure,
            on_denied=context.tokens.refused,
            on_caught_up=self.consumer.caught_up,
            on_gap=self.reconciler.ask,
            now=context.clock.now,
        )

    def _build_partitions(self, name: str, lease_milliseconds: int) -> None:
        context, settings = self.context, self.context.settings
        self.assignment = Assignment(
            registry=self.registry,
            consumer=self.consumer,
            storms=self.storms,
            valkey=context.backends.valkey,
            flags=context.flags,
            shards=context.shards,
            times=debounce_times(settings),
            window=batch_window(settings),
            subscribe=self.subscriber.run,
            on_assigned=lambda partition: self.reconciler.ask(context.shards.shards_of(partition)),
            now=context.clock.now,
        )
        self.leases = Leases(
            valkey=context.backends.valkey,
            name=name,
            partitions=settings.partitions,
            owner=self.assignment,
            lease_milliseconds=lease_milliseconds,
        )

    def _build_debounce(self) -> None:
        context, settings = self.context, self.context.settings
        secret = settings.events_secret
        self.events = EventWebhook(
            valkey=context.backends.valkey,
            session=context.http_session,
            receiver=WebhookReceiver(settings.events_url, secret.get_secret_value() if secret else ""),
            partition=context.shards.partition,
            leads=self._leads,
        )
        self.committer = FlagCommitter(
            debouncers=self.registry.debouncers,
            wakeup=self.registry.commit_wakeup,
            flags=context.flags,
            log=context.presence_log,
            inbox=context.inbox_streams,
            watermark=context.watermark,
            lookups=context.presence_lookup,
            change_history=context.change_history,
            append_events=self.events.append,
            dead_letter=self._dead_letter,
            on_committed=self._committed,
            on_batch_seconds=lambda seconds: self.admission.observe(
                seconds, target_seconds=TARGET_COMMIT_SECONDS
            ),
            verify_leaves=settings.verify_leaves,
            now=context.clock.now,
        )

    def _build_relay(self) -> None:
        context = self.context
        self.relay = OutboxRelay(
            outbox=Outbox(
                graph=context.backends.graph,
                last_seen_rounding_seconds=context.settings.last_seen_rounding_seconds,
            ),
            flags=context.flags,
            inbox=context.inbox_streams,
            watermark=context.watermark,
            leads=self._leads,
            append_events=self.events.append,
            on_relayed=self._relayed,
        )

    def _build_observers(self) -> None:
        context, settings = self.context, self.context.settings
        valid_for_seconds = max(1, round(3 * settings.status_count_interval_seconds))
        self.health = Health(
            valkey=context.backends.valkey,
            partitions=settings.partitions,
            valid_for_seconds=valid_for_seconds,
        )
        self.online_count = OnlineCount(
            client=context.pubnub,
            shards=context.shards,
            valkey=context.backends.valkey,
            health=self.health,
            publish_client=self.publish_client,
            valid_for_seconds=valid_for_seconds,
        )
        self.accuracy = Accuracy(
            flags=context.flags,
            lookups=context.presence_lookup,
            size=settings.accuracy_sample,
            settling_seconds=settling_seconds(settings),
        )
        self.report = report.Report(
            valkey=context.backends.valkey,
            leases=self.leases,
            registry=self.registry,
            activity=self.activity,
            ages=self._ages,
            storms=lambda: self.storms.active,
        )

    def tasks(self) -> dict[str, Awaitable[object]]:
        """All that runs, by name."""
        context = self.context
        tasks: dict[str, Awaitable[object]] = {
            "consume": self.consumer.run(),
            "commit": self.committer.run(),
            "publish": self.publisher.run(),
            "leases": self.leases.run(),
            "reconcile": self.reconciler.run(),
            "relay": self.relay.run(),
            "wake-up channel": self.relay.listen(context.backends.valkey),
            "token": context.tokens.run(),
            "clock": context.clock.run(context.http_session, context.keyset),
            "subscribe": self.assignment.run(),
            "app context": context.app_context.run(under_pressure=self._busy),
            "events": self.events.run(context.settings.partitions),
            "publish time-outs": self.publish_client.connections.watch(),
            "fail-overs": self._reconcile_after_failovers(),
        }
        if self.sqs_worker and context.notification_queue:
            tasks["sqs"] = self.sqs_worker.run(context.notification_queue)
        return tasks

    def jobs(self) -> list[scheduler.Job]:
        """All that happens at intervals; jobs that only one process may do check whether this one leads."""
        settings = self.context.settings
        count_seconds, reconcile_seconds = (
            settings.status_count_interval_seconds,
            settings.reconcile_interval_seconds,
        )
        return [
            scheduler.Job("health", min(MAX_HEALTH_INTERVAL_SECONDS, count_seconds), self._write_health),
            scheduler.Job("status.count", count_seconds, self._count),
            scheduler.Job("reconcile", reconcile_seconds, self._reconcile, reconcile_seconds),
            scheduler.Job("console report", report.INTERVAL_SECONDS, self.report.write),
            scheduler.Job(
                "accuracy", ACCURACY_INTERVAL_SECONDS, self._sample_accuracy, ACCURACY_INTERVAL_SECONDS
            ),
        ]

    async def drain(self) -> None:
        """Finish what is in progress, for GRACE_SECONDS at most; the rest stays in the streams."""
        grace = self.context.settings.grace_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                self.consumer.stopping = True
                await self.assignment.stop_subscribing()
                await self.conflicts.stop()
                await self.committer.drained()
                await self.publisher.drained(grace)
                if self.sqs_worker:
                    await self.sqs_worker.drained(grace)
                await self.publisher.clean_up()

    async def close(self) -> None:
        """Give the leases back, and end what the tasks began."""
        await self.leases.close()
        await self.assignment.stop_subscribing()
        await self.conflicts.stop()
        self.publish_client.connections.close()

    def _leads(self) -> bool:
        return self.leases.leads

    def _ages(self) -> dict[int, Ages]:
        return self.registry.ages(now=self.context.clock.now(), storm=self.storms.degraded)

    def _max_syncs(self) -> int:
        """How many batches may need a sync now: in a storm as many as the graph sustains, else as many as go out."""
        return self.admission.limit if self.storms.active else self.publisher.limits.in_flight

    def _busy(self) -> bool:
        """Whether notifications need all there is: they are late, or this process is busy."""
        share = self.cpu_load.share(time.monotonic(), time.process_time())
        return self.windows.late or share > BUSY_SHARE

    async def _check_backpressure(self, partition: int) -> None:
        await self.context.backpressure.check([keys.presence_log(partition)])

    async def _dead_letter(self, event: PresenceEvent, reason: str) -> None:
        await self.context.dead_letters.add_change(self.context.shards.partition(event.user), event, reason)

    def _committed(self, snapshots: Sequence[PresenceSnapshot]) -> None:
        self.context.app_context.on_committed(snapshots)
        self.activity.committed(snapshots)

    def _relayed(self, pairs: Sequence[ChangedPair]) -> None:
        self.context.app_context.touch([end.id for pair in pairs for end in (pair.a, pair.b)])

    async def _write_health(self) -> None:
        ages = self._ages()
        await self.health.write(ages)
        outboxes = [*self.registry.outboxes.values()]
        if self.sqs_worker:
            outboxes += self.sqs_worker.outboxes.values()
        metrics.OWNED.set(len(self.leases.owned))
        metrics.SYNC_CONCURRENCY_LIMIT.set(self._max_syncs())
        metrics.DEBOUNCE_PENDING.set(sum(map(len, self.registry.debouncers.values())))
        metrics.PUBLISH_PENDING.set(sum(outbox.batcher.busy for outbox in outboxes))
        metrics.DEBOUNCE_LAG.set(max((age.debounce_lag_seconds for age in ages.values()), default=0.0))
        for name, key in (("seen", keys.presence_log), ("inbox", keys.inbox), ("dead", keys.dead_letters)):
            lengths = await self.context.backends.valkey.lengths([key(number) for number in ages])
            metrics.STREAM.labels(name).set(sum(lengths))

    async def _count(self) -> None:
        if self.leases.leads:
            await self.online_count.step()

    async def _reconcile(self) -> None:
        self._reconcile_owned()

    async def _reconcile_after_failovers(self) -> None:
        """Only on a Cluster: what its lost server alone had is found again."""
        failed_over = self.context.backends.valkey.failed_over
        while True:
            await failed_over.wait()
            failed_over.clear()
            self._reconcile_owned()

    def _reconcile_owned(self) -> None:
        for partition in list(self.leases.owned):
            self.reconciler.ask(self.context.shards.shards_of(partition))

    async def _sample_accuracy(self) -> None:
        if self.accuracy.size and self.leases.leads:
            await self.accuracy.sample(random.randrange(self.context.shards.listened))


def debounce_times(settings: Settings) -> DebounceTimes:
    """In milliseconds."""
    return DebounceTimes(
        int(settings.debounce_online_seconds * 1000),
        int(settings.debounce_leave_seconds * 1000),
        int(settings.debounce_timeout_seconds * 1000),
    )


def storm_thresholds(settings: Settings) -> StormThresholds:
    """When there is a storm, and how long leaves and batches wait then."""
    return StormThresholds(
        enabled=settings.storm_protection,
        min_share=STORM_MIN_SHARE,
        min_users=settings.storm_min_users,
        span_milliseconds=int(STORM_DETECTION_SECONDS * 1000),
        debounce_milliseconds=int(settings.storm_debounce_seconds * 1000),
        batch_window_seconds=STORM_BATCH_WINDOW_SECONDS,
    )


def batch_window(settings: Settings) -> BatchWindow:
    """How long a batch waits for more notifications."""
    return BatchWindow(settings.batch_window_min_seconds, BATCH_WINDOW_MAX_SECONDS)


def publish_limits(settings: Settings) -> PublishLimits:
    """How many publishes at once, and how often each is tried."""
    return PublishLimits(
        in_flight=settings.publish_in_flight,
        tries=PUBLISH_MAX_ATTEMPTS,
    )


def build_publisher(
    context: BridgeContext,
    *,
    outboxes: Mapping[int, PartitionOutbox],
    wakeup: asyncio.Event,
    client: PublishClient,
    inbox: InboxStreams,
    syncs: SyncLoader,
    max_syncs: Callable[[], int],
) -> Publisher:
    """A publisher of these outboxes; `inbox` is where their entries come from, and where what fails goes."""
    return Publisher(
        outboxes=outboxes,
        wakeup=wakeup,
        client=client,
        inbox=inbox,
        syncs=syncs,
        dead_letters=context.dead_letters,
        on_denied=context.tokens.refused,
        add_failed=context.change_history.add_failed,
        limits=publish_limits(context.settings),
        max_syncs=max_syncs,
    )


def build_sqs_worker(
    context: BridgeContext, *, client: PublishClient, inbox: InboxStreams, syncs: SyncLoader
) -> SqsWorker:
    """A worker for entries of all partitions, owned or not."""
    settings, wakeup = context.settings, asyncio.Event()
    window = batch_window(settings)
    outboxes = {
        number: PartitionOutbox(partition=number, window=window) for number in range(settings.partitions)
    }
    publisher = build_publisher(
        context,
        outboxes=outboxes,
        wakeup=wakeup,
        client=client,
        inbox=inbox,
        syncs=syncs,
        max_syncs=lambda: settings.publish_in_flight,
    )
    windows = BatchWindowController(window=window, outboxes=outboxes, wakeup=wakeup)
    return SqsWorker(outboxes=outboxes, wakeup=wakeup, publisher=publisher, windows=windows)
