"""``python -m graph_service``: serves the API alone, without the bridge."""

from __future__ import annotations

import sys

from graph_service import app
from graph_service.errors import FriendsError
from graph_service.settings import load


def main() -> int:
    """Run until stopped. A setup error is printed as one line that says what to do."""
    try:
        return app.run(load())
    except FriendsError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
