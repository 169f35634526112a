"""Metrics of the bridge: names, labels and help texts, in the order of the pipeline."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

BUCKETS_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

PRESENCE_EVENTS = Counter(
    "friends_presence_events_total", "Presence events accepted, by source.", ("source",)
)
UNKNOWN = Counter("friends_presence_unknown_total", "Presence bodies that were not understood.")
WRONG_SHARD = Counter(
    "friends_presence_wrong_shard_total", "Presence events on a shard that is not the user's, dropped."
)
REFUSED = Counter(
    "friends_presence_refused_total", "Presence events with an id that no user can have, dropped."
)
POLLS_FAILED = Counter("friends_subscribe_failures_total", "Subscribe calls that failed and are retried.")
DENIED = Counter(
    "friends_pubnub_denied_total",
    "Calls that PubNub denied: the token or the permissions of the keyset are wrong.",
    ("call",),
)
CLOCK_BEHIND = Counter(
    "friends_graph_clock_behind_total",
    "Reads repeated because the graph's clock was behind the newest message.",
)
BACKPRESSURE = Counter(
    "friends_backpressure_total", "Times that a full stream accepted nothing more (MAX_STREAM_ENTRIES)."
)
FLAPS = Counter("friends_presence_flaps_total", "Changes that were undone within their debounce time.")
REPEATS = Counter("friends_presence_repeats_total", "Presence events that repeat the known state.")
STORMS = Counter("friends_storms_total", "Storms that began, by extent.", ("extent",))
STORM = Gauge("friends_storm", "Storms in progress: leaves are debounced longer and batch windows are wider.")
SYNC_CONCURRENCY_LIMIT = Gauge(
    "friends_sync_concurrency_limit", "Pending resyncs that may be read and published at once."
)
CONFLICTS = Counter(
    "friends_presence_conflicts_total", "Users looked up because their events contradicted each other."
)
RECONCILED = Counter(
    "friends_presence_reconciled_total", "Flags that differed from Here Now and were corrected."
)
UNKNOWN_USERS = Counter(
    "friends_presence_unknown_user_total", "Changes of ids that have no user in the graph, dropped."
)
FLAG_WRITES = Counter(
    "friends_flag_writes_total", "Changes committed to the graph, by outcome.", ("outcome",)
)
FLAG_WRITES_REFUSED = Counter(
    "friends_flag_writes_refused_total", "Changes that the graph rejected, by fault.", ("fault",)
)
FLAG_WRITE_SECONDS = Histogram(
    "friends_flag_write_seconds", "Duration of one batch: commit, read, enqueue.", buckets=BUCKETS_SECONDS
)
NOTIFICATIONS = Counter(
    "friends_notifications_total", "Recipients of notifications appended to the inbox streams."
)
PUBLISHED = Counter("friends_publishes_total", "Publish attempts, by outcome.", ("outcome",))
DELAY = Histogram(
    "friends_change_to_inbox_seconds",
    "Time from the read of a change to its acknowledged publish.",
    buckets=BUCKETS_SECONDS,
)
COALESCED = Counter("friends_publishes_coalesced_total", "Events merged into another message.")
DEAD = Counter(
    "friends_dead_letters_total", "Messages and changes that were rejected as invalid and dead-lettered."
)
CIRCUIT_OPEN = Gauge("friends_publish_circuit_open", "1 while the circuit breaker stops publishing, else 0.")
DEBOUNCE_PENDING = Gauge(
    "friends_debounce_pending", "Users whose change waits for its debounce deadline or its commit."
)
OWNED = Gauge("friends_partitions_owned", "Partitions this process owns.")
PUBLISH_PENDING = Gauge("friends_publish_pending", "Inboxes with a pending batch.")
STREAM = Gauge("friends_stream_entries", "Entries in the streams of the owned partitions.", ("stream",))
DEBOUNCE_LAG = Gauge(
    "friends_debounce_lag_seconds", "Age of the oldest change that is due and not committed."
)
VIEW_CHECKS = Counter(
    "friends_view_checks_total",
    "Sampled views, compared with PubNub debounce time + 5 s after a change, by result.",
    ("result",),
)
ACCURACY = Gauge("friends_flag_accuracy_ratio", "Share of correct views in the latest sample.")
ONLINE = Gauge("friends_online_users", "Users online on all shards, counted by Here Now.")
CLOCK_SYNCED = Gauge(
    "friends_pubnub_clock_synced", "1 once PubNub's time is known, 0 while PubNub does not respond."
)
CLOCK_AHEAD = Gauge("friends_pubnub_clock_ahead_seconds", "How far PubNub's clock is ahead of this host's.")
APP_CONTEXT = Counter("friends_app_context_writes_total", "App Context writes, by outcome.", ("outcome",))
