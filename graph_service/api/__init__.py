"""The HTTP API: routes, callers, problems, limits, the API document. Knows use cases; no engine and no PubNub.

Imports: `concurrency`, `errors`, `friends`, `metrics`, `model`, `settings`, `tracing`.
"""

from __future__ import annotations
