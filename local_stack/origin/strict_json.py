"""Strict JSON by the standard: no NaN, no Infinity, no number that overflows to one, no lone surrogate.

Python's parser accepts all of them, and a response that repeated them would not be JSON.
"""

from __future__ import annotations

import json
import math
from typing import Any


class NotJsonError(ValueError):
    """The text is not JSON."""


def loads(text: str | bytes) -> Any:
    """Parse `text`. Raises `NotJsonError` for anything that is not JSON, or is nested too deeply."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        value = _DECODER.decode(text)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be encoded
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from None
    return value


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)
