"""An environment without NEO4J_URI and REDIS_URL, in which a test starts its own engines."""

from __future__ import annotations

import os

EMBEDDED = {name: value for name, value in os.environ.items() if name not in {"NEO4J_URI", "REDIS_URL"}}
