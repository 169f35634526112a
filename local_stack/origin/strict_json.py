"""JSON as the standard has it: no NaN, no Infinity, no number that would become one.

Python's reader takes all three, and an answer that repeated them would be no JSON. Knows nothing of any protocol.
"""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str | bytes) -> Any:
    """The value of `text`. Raises `ValueError` for anything that is not JSON, also when nested too deeply."""
    try:
        return json.loads(text, parse_constant=_refused, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number
