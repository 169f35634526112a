"""The HTTP API: routes, authentication, problems, limits, the API document.

In: HTTP requests. Out: JSON, or problems (RFC 9457). Opens no database and knows nothing of PubNub.
Imports: `concurrency`, `errors`, `friends`, `metrics`, `model`, `settings`, `tracing`.
"""

from __future__ import annotations
