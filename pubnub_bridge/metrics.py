"""What the bridge counts, one name a row of the walk. Knows names and labels; knows no engine."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

PRESENCE_EVENTS = Counter(
    "friends_presence_events_total", "Presence events accepted, by how they came.", ("source",)
)
UNKNOWN = Counter("friends_presence_unknown_total", "Presence bodies that were not understood.")
WRONG_SHARD = Counter("friends_presence_wrong_shard_total", "Events on a shard that is not the user's.")
REFUSED = Counter("friends_presence_refused_total", "Presence events of ids that no user can have.")
POLLS_FAILED = Counter("friends_subscribe_failures_total", "Subscribe calls that failed.")
DENIED = Counter(
    "friends_pubnub_denied_total",
    "Calls that PubNub did not allow: the token, or the permissions of the keyset.",
    ("call",),
)
CLOCK_BEHIND = Counter(
    "friends_graph_clock_behind_total",
    "Reads repeated since the graph's clock was behind what had been told.",
)
BACKPRESSURE = Counter(
    "friends_backpressure_total", "Times that a full stream took nothing more in (MAX_STREAM_ENTRIES)."
)
FLAPS = Counter("friends_presence_flaps_total", "Changes that were undone inside the hold.")
REPEATS = Counter("friends_presence_repeats_total", "Events that said what was known already.")
STORMS = Counter("friends_storms_total", "Storms that began, by how far they went.", ("extent",))
STORM = Gauge("friends_storm", "Storms that are on: leaves wait longer, news waits for company.")
SYNC_CONCURRENCY_LIMIT = Gauge("friends_sync_concurrency_limit", "Owed syncs that may be under way at once.")
CONFLICTS = Counter(
    "friends_presence_conflicts_total", "Users looked up since events contradicted each other."
)
RECONCILED = Counter(
    "friends_presence_reconciled_total", "Flags that differed from Here Now and were put right."
)
UNKNOWN_USERS = Counter("friends_presence_unknown_user_total", "Settled presence of ids without a user.")
FLAG_WRITES = Counter(
    "friends_flag_writes_total", "Users whose state was written to the graph, by outcome.", ("outcome",)
)
FLAG_WRITES_REFUSED = Counter(
    "friends_flag_writes_refused_total", "Changes that the graph refuses, by whose fault it is.", ("fault",)
)
FLAG_WRITE_SECONDS = Histogram(
    "friends_flag_write_seconds", "One batch: commit, read, append.", buckets=SECONDS
)
NOTIFICATIONS = Counter("friends_notifications_total", "Recipients of notices appended to the inbox streams.")
PUBLISHED = Counter("friends_publishes_total", "Publishes by outcome.", ("outcome",))
DELAY = Histogram(
    "friends_change_to_inbox_seconds",
    "From the graph's read of a change to the acknowledged publish.",
    buckets=SECONDS,
)
COALESCED = Counter("friends_publishes_coalesced_total", "Events that needed no message of their own.")
DEAD = Counter("friends_dead_letters_total", "Messages that PubNub refused for their own sake.")
CIRCUIT_OPEN = Gauge("friends_publish_circuit_open", "1 while publishing waits for the origin.")
DEBOUNCE_PENDING = Gauge("friends_debounce_pending", "Users that wait for a deadline or a write.")
OWNED = Gauge("friends_partitions_owned", "Partitions this process owns.")
PUBLISH_PENDING = Gauge("friends_publish_pending", "Inboxes that wait for a message.")
STREAM = Gauge("friends_stream_entries", "Entries of the owned streams.", ("stream",))
DEBOUNCE_LAG = Gauge("friends_debounce_lag_seconds", "Age of the oldest change that is due and not written.")
VIEW_CHECKS = Counter(
    "friends_view_checks_total",
    "Sampled views, by whether they were right hold + 5 s after a change.",
    ("result",),
)
ACCURACY = Gauge("friends_flag_accuracy_ratio", "The same as a share, of the latest sample alone.")
ONLINE = Gauge("friends_online_users", "Users that Here Now counts on all shards.")
CLOCK_SYNCED = Gauge(
    "friends_pubnub_clock_synced", "1 once PubNub told its time, 0 while it does not answer."
)
CLOCK_AHEAD = Gauge("friends_pubnub_clock_ahead_seconds", "How far PubNub's clock is ahead of this host's.")
APP_CONTEXT = Counter("friends_app_context_writes_total", "App Context calls by outcome.", ("outcome",))
