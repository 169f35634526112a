"""What the graph service counts, for Prometheus. Knows names and labels; knows no engine.

With several processes on one port (WORKERS) the counts are kept in files under ``PROMETHEUS_MULTIPROC_DIR``, which
`graph_service.server` sets before this module is imported, so that any process can answer for all.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

REQUESTS = Histogram(
    "friends_http_request_seconds",
    "Duration of HTTP requests, by route template and status.",
    ("method", "route", "status"),
    buckets=SECONDS,
)
RUNNING = Gauge(
    "friends_http_requests_running", "HTTP requests being answered now.", multiprocess_mode="livesum"
)
QUERIES = Histogram(
    "friends_graph_query_seconds",
    "Duration of calls to the graph, by query file and whether they succeeded.",
    ("query", "ok"),
    buckets=SECONDS,
)
QUEUE_FAILED = Counter(
    "friends_queue_failures_total",
    "Calls that Valkey did not carry out, by whether it was away, full or read only.",
    ("kind",),
)
RATE_LIMITED = Counter("friends_http_rate_limited_total", "Calls refused over a rate, by kind.", ("kind",))
RATE_LIMIT_FALLBACK = Counter(
    "friends_rate_limit_fallback_total", "Times that rates could not be counted in Valkey, for 5 s each."
)
SHED = Counter(
    "friends_http_shed_total",
    "Calls sent away at once since too much was under way, by room and by what was full.",
    ("room", "full"),
)
CONCURRENCY_LIMIT = Gauge(
    "friends_http_concurrency_limit",
    "Calls that may be under way at once at present, by room.",
    ("room",),
    multiprocess_mode="livesum",
)
CUT = Counter(
    "friends_http_connections_cut_total",
    "Connections ended by us: too many, or a sender that was too slow.",
    ("reason",),
)
REFUSED = Counter("friends_http_unauthorized_total", "Calls refused for want of a valid token or key.")


def query_observed(name: str, seconds: float, ok: bool) -> None:
    """Counts one call to the graph."""
    QUERIES.labels(name, str(ok).lower()).observe(seconds)


def rendered() -> bytes:
    """Everything counted so far, by all processes, in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
