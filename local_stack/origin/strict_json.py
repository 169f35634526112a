"""JSON as the standard has it: no NaN, no Infinity, no number that would become one, no half of a character.

Python's reader takes all of them, and an answer that repeated them would be no JSON. Knows nothing of any protocol.
"""

from __future__ import annotations

import json
import math
from typing import Any


class NotJsonError(ValueError):
    """The text is not JSON."""


def loads(text: str | bytes) -> Any:
    """The value of `text`. Raises `NotJsonError` for anything that is not JSON, also when nested too deeply."""
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
