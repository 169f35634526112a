"""An environment in which a test starts engines of its own, whatever NEO4J_URI and REDIS_URL say; as cheap as all."""

from __future__ import annotations

import os

EMBEDDED = {name: value for name, value in os.environ.items() if name not in {"NEO4J_URI", "REDIS_URL"}}
