"""``python -m pubnub_bridge``: the same as ``friends-presence serve``."""

from __future__ import annotations

import sys

from pubnub_bridge.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "serve")
    main()
