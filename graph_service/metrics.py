"""Prometheus metrics of the graph service.

With several processes on one port (WORKERS) they are shared in files under ``PROMETHEUS_MULTIPROC_DIR``, which
`graph_service.prefork` sets before this module is imported, so that any process can report for all.
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

BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

REQUESTS = Histogram(
    "friends_http_request_seconds",
    "Duration of HTTP requests, by route template and status.",
    ("method", "route", "status"),
    buckets=BUCKETS_SECONDS,
)
RUNNING = Gauge("friends_http_requests_running", "HTTP requests in progress.", multiprocess_mode="livesum")
QUERIES = Histogram(
    "friends_graph_query_seconds",
    "Duration of queries to the graph, by query file and whether they succeeded.",
    ("query", "ok"),
    buckets=BUCKETS_SECONDS,
)
QUEUE_FAILED = Counter(
    "friends_queue_failures_total",
    "Failed calls to Valkey, by whether it was away, full or read only.",
    ("kind",),
)
RATE_LIMITED = Counter(
    "friends_http_rate_limited_total", "Requests rejected over a rate limit, by kind.", ("kind",)
)
RATE_LIMIT_FALLBACK = Counter(
    "friends_rate_limit_fallback_total",
    "Times that rate limits fell back to counting in each process, for 5 s each.",
)
SHED = Counter(
    "friends_http_shed_total",
    "Requests rejected by load shedding, by concurrency limit and by what was full.",
    ("limit", "full"),
)
CONCURRENCY_LIMIT = Gauge(
    "friends_http_concurrency_limit",
    "Requests that may be in progress at once at present, by concurrency limit.",
    ("limit",),
    multiprocess_mode="livesum",
)
CUT = Counter(
    "friends_http_connections_cut_total",
    "Connections ended by us: too many, or a client that was too slow.",
    ("reason",),
)
REFUSED = Counter("friends_http_unauthorized_total", "Requests refused for want of a valid token or key.")


def query_observed(name: str, seconds: float, ok: bool) -> None:
    """Record one query to the graph."""
    QUERIES.labels(name, str(ok).lower()).observe(seconds)


def rendered() -> bytes:
    """All metrics, of all processes, in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
