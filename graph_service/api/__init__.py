"""The HTTP API: routes, callers, problems, limits, the API document. Knows use cases; no engine and no PubNub."""

from __future__ import annotations
