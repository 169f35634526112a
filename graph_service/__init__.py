"""The graph service: model, rules of friendship, graph and HTTP API. Knows nothing of PubNub."""

from __future__ import annotations

__version__ = "0.1.0"
