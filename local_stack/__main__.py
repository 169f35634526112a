"""``python -m local_stack``: the same as ``friends-presence``, for whoever has no script of it. Knows only where to start."""

from __future__ import annotations

from pubnub_bridge.cli.main import main

if __name__ == "__main__":
    main()
