"""`python -m local_stack.origin --port N`."""

from __future__ import annotations

from local_stack.origin.cli import app

app()
