"""``python -m local_stack``: the same command line as ``friends-presence``, where that script is not on the path."""

from __future__ import annotations

from pubnub_bridge.cli.main import main

if __name__ == "__main__":
    main()
