"""`python -m local_stack.origin --port N`."""

from __future__ import annotations

import typer

from local_stack.origin.cli import origin

typer.run(origin)
