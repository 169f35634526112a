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
from pubnub_bridge.runtime.startup import until_prepared
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
    async with open_backends(settings) as opened, open_context(settings, opened) as side:
        await on(side)
    return 0


async def on(side: BridgeContext) -> None:
    """The bridge on a side that is open already, as beside an API; until it is cancelled. Raises as `run`."""
    await until_prepared(side)
    bridge = Bridge(side)
    try:
        async with scheduler.running(bridge.jobs()):
            await run_until_one_ends(bridge.tasks(), bridge.drain)
    finally:
        await bridge.ownership.close()
        bridge.pool.wires.close()


def debounce_times(settings: Settings) -> DebounceTimes:
    """The holds in milliseconds."""
    return DebounceTimes(
        int(settings.hold_online * 1000),
        int(settings.hold_leave * 1000),
        int(settings.hold_timeout * 1000),
    )


def storm_thresholds(settings: Settings) -> StormThresholds:
    """When there is a storm, and how long is waited then."""
    return StormThresholds(
        on=settings.storm_mode == "on",
        share=settings.storm_share,
        least=settings.storm_least,
        span=int(settings.storm_span * 1000),
        hold=int(settings.storm_hold * 1000),
        window=settings.storm_window,
    )


class Bridge:
    """The parts of a running bridge, wired."""

    def __init__(self, side: BridgeContext) -> None:
        settings = side.settings
        self.side = side
        self.pool = PublishClient(side.keyset, side.tokens.own, settings.publish_pipeline)
        self.partitions = Partitions(_needs(side))
        self.events = _events(side, lambda: self.ownership.leads)
        self.settle = FlagCommitter(_around(side, self.events), self.partitions.holds)
        self.syncs = SyncLoader(side.flags, side.water)
        self.publish = Publisher(
            self.partitions.outbounds, ways(side, self.pool, self.syncs), limits(settings)
        )
        self.over_sqs = self._over_sqs()
        self.admission = Admission(settings.publish_in_flight)
        self.ownership = Leases(side.engines.valkey, bridge_name(), settings.partitions, self.partitions)
        self.reconcile = Reconciler(side.flags, side.log, side.lookups, side.shards)
        self.reconcile.now = side.clock.now
        self.relay = outbox_relay.OutboxRelay(
            _changes(side), side.inbox, side.water, lambda: self.ownership.leads
        )
        self.context = side.context
        self.busy = CpuLoad()
        self.valid_for = max(1, round(3 * settings.status_count_interval))
        self.health = Health(side.engines.valkey, settings.partitions, self.valid_for)
        self.counting = OnlineCount(self._count_needs())
        self.report = report.Report(side.engines.valkey, self.ownership, self.partitions)
        self.subscriber = Subscriber(side.session, side.keyset, side.shards, side.log, self._hooks())
        self._wire()

    def tasks(self) -> dict[str, Awaitable[object]]:
        """All that runs, by name."""
        return {
            "read": self.partitions.run(),
            "settle": self.settle.run(),
            "publish": self.publish.run(),
            "own": self.ownership.run(),
            "reconcile": self.reconcile.run(),
            "relay": self.relay.run(),
            "nudges": self.relay.listen(self.side.engines.valkey),
            "token": self.side.tokens.run(),
            "clock": self.side.clock.run(self.side.session, self.side.keyset),
            "subscribe": self.partitions.died,
            "app context": self.context.run(),
            "events": self.events.run(self.side.settings.partitions),
            "publish time-outs": self.pool.wires.watch(),
        } | self._receiving()

    def _outbounds(self) -> list[PartitionOutbox]:
        over_sqs = self.over_sqs.outbounds if self.over_sqs else {}
        return [*self.partitions.outbounds.values(), *over_sqs.values()]

    def _receiving(self) -> dict[str, Awaitable[object]]:
        notices = self.side.notices
        return {"notices": self.over_sqs.run(notices)} if self.over_sqs and notices else {}

    def jobs(self) -> list[scheduler.Job]:
        """All that happens by the clock; those that only one may do look whether this process leads."""
        settings = self.side.settings
        return [
            scheduler.Job("health", min(5.0, settings.status_count_interval), self._tell_health),
            scheduler.Job("status.count", settings.status_count_interval, self._count),
            scheduler.Job(
                "reconcile", settings.reconcile_seconds, self._reconcile_owned, settings.reconcile_seconds
            ),
            scheduler.Job("console report", report.INTERVAL_SECONDS, self.report.tell),
            scheduler.Job("accuracy", 60.0, self._accuracy, 60.0),
        ]

    async def _tell_health(self) -> None:
        ages = self.partitions.ages()
        await self.health.tell(ages)
        metrics.OWNED.set(len(self.ownership.owned))
        metrics.SYNCS_ADMITTED.set(self._admitted())
        metrics.HELD.set(sum(map(len, self.partitions.holds.values())))
        metrics.WAITING.set(sum(out.coalesce.busy for out in self._outbounds()))
        metrics.OLDEST.set(max((age.settle for age in ages.values()), default=0.0))
        for name, key in (("seen", keys.presence_log), ("inbox", keys.inbox), ("dead", keys.dead)):
            lengths = await self.side.engines.valkey.lengths([key(number) for number in ages])
            metrics.STREAM.labels(name).set(sum(lengths))

    async def _count(self) -> None:
        if self.ownership.leads:
            await self.counting.step()

    async def _reconcile_owned(self) -> None:
        self._reconcile_all()

    def _reconcile_all(self) -> None:
        for partition in list(self.ownership.owned):
            self.reconcile.ask(self.side.shards.shards_of(partition))

    async def _accuracy(self) -> None:
        side, size = self.side, self.side.settings.accuracy_sample
        if size and self.ownership.leads:
            shard = random.randrange(side.shards.listened)
            sampling = Accuracy(side.flags, side.lookups, size, settling_seconds(side.settings))
            await sampling.sample(shard)

    async def drain(self) -> None:
        """What is under way is finished, for GRACE_SECONDS at most; the rest stays in the streams."""
        grace = self.side.settings.grace_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                self.partitions.stopping = True
                await self.partitions.stop_following()
                await self.settle.drained()
                await self.publish.drained(grace)
                if self.over_sqs:
                    await self.over_sqs.drained(grace)
                await self.publish.clean_up()

    def _wire(self) -> None:
        partitions, publish = self.partitions, self.publish
        partitions.settle_woken = self.settle.woken.set
        partitions.letters_woken = publish.woken.set
        partitions.publish_stopped = lambda: publish.stopped
        partitions.follow = self.subscriber.run
        publish.admitted = self._admitted
        self.settle.took = lambda seconds: self.admission.felt(seconds, SETTLES)
        self.syncs.took = lambda seconds: self.admission.felt(seconds, READS)
        self.relay.events = self.events.keep
        self.settle.told = self._told
        self.context.pressed = self._pressed
        partitions.flapped = self.report.flapped
        self.reconcile.observed = partitions.observed
        self.relay.changed = lambda pairs: self.context.touch([end.id for p in pairs for end in (p.a, p.b)])
        partitions.taken_over = lambda partition: self.reconcile.ask(self.side.shards.shards_of(partition))
        # Only after a fail-over of a Cluster: what its lost server alone had is found again.
        self.side.engines.valkey.on_failover = self._reconcile_all

    def _admitted(self) -> int:
        """How many letters may owe a sync now: in a storm as many as the graph bears, else as many as go out."""
        calm = not self.partitions.storms.on
        return self.publish.limits.in_flight if calm else self.admission.room

    def _pressed(self) -> bool:
        """Whether news needs all there is: it goes out late, or this process is busy."""
        share = self.busy.share(time.monotonic(), time.process_time())
        return self.partitions.late or share > BUSY_SHARE

    def _told(self, told: Sequence[PresenceSnapshot]) -> None:
        self.context.settled(told)
        self.report.told(told)

    def _count_needs(self) -> CountNeeds:
        side = self.side
        return CountNeeds(
            side.client, side.shards, side.engines.valkey, self.health, self.pool, self.valid_for
        )

    def _over_sqs(self) -> SqsWorker | None:
        """With QUEUE_URL notices go that way; the streams still bring what is redriven or was left in them."""
        side, settings = self.side, self.side.settings
        if side.notices is None:
            return None
        how = ways(side, self.pool, self.syncs)
        return SqsWorker(settings.partitions, how, side.inbox, limits(settings), batch_window(settings))

    def _hooks(self) -> Hooks:
        side = self.side
        return Hooks(
            token=side.tokens.own,
            refused=side.tokens.refused,
            caught_up=self.partitions.caught_up,
            doubtful=self.reconcile.ask,
            now=side.clock.now,
            room=lambda partition: side.backlog.check([keys.presence_log(partition)]),
        )


def batch_window(settings: Settings) -> BatchWindow:
    """How long news waits for company."""
    return BatchWindow(settings.coalesce_shortest, settings.coalesce_longest)


def ways(side: BridgeContext, pool: PublishClient, syncs: SyncLoader) -> PublisherParts:
    """What publishing from the streams leans on."""
    streams = InboxStreams(side.engines.valkey, side.shards.partition)
    return PublisherParts(pool, streams, syncs, side.dead, side.tokens.refused, side.why.fail)


def _changes(side: BridgeContext) -> outbox_relay.Graph:
    return outbox_relay.Graph(Outbox(side.engines.graph, side.settings.last_seen_rounding), side.flags)


def _needs(side: BridgeContext) -> Needs:
    settings = side.settings
    return Needs(
        valkey=side.engines.valkey,
        shards=side.shards,
        flags=side.flags,
        inbox=side.inbox,
        log=side.log,
        lookups=side.lookups,
        now=side.clock.now,
        times=debounce_times(settings),
        pace=batch_window(settings),
        marks=storm_thresholds(settings),
    )


def _around(side: BridgeContext, events: EventWebhook) -> Around:
    async def refused(seen: PresenceEvent, reason: str) -> None:
        await side.dead.bury_change(side.shards.partition(seen.user), seen, reason)

    return Around(
        flags=side.flags,
        log=side.log,
        inbox=side.inbox,
        water=side.water,
        lookups=side.lookups,
        why=side.why,
        now=side.clock.now,
        events=events.keep,
        refused=refused,
        confirm_leaves=side.settings.confirm_leaves == "on",
    )


def _events(side: BridgeContext, leads: Callable[[], bool]) -> EventWebhook:
    settings, secret = side.settings, side.settings.events_secret
    receiver = WebhookReceiver(settings.events_url, secret.get_secret_value() if secret else "")
    return EventWebhook(side.engines.valkey, side.session, receiver, side.shards.partition, leads)


def limits(settings: Settings) -> PublishLimits:
    """How hard to push."""
    return PublishLimits(
        in_flight=settings.publish_in_flight,
        tries=settings.publish_retry_times,
        per_second=settings.publish_per_second,
    )
