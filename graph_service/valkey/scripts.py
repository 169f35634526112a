"""Lua scripts: atomic steps on one key, or on keys with one hash tag.

Times are by the server's clock, so that hosts whose clocks differ agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ALIVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# Numbers of 16 digits are compared as text: Lua's numbers are floats and would round microseconds.
RAISE = """
local had = redis.call('GET', KEYS[1])
if not had or #ARGV[1] > #had or (#ARGV[1] == #had and ARGV[1] > had) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
"""
REMEMBER = """
for at, key in ipairs(KEYS) do
  redis.call('LPUSH', key, ARGV[at + 2])
  redis.call('LTRIM', key, 0, ARGV[1] - 1)
  redis.call('EXPIRE', key, ARGV[2])
end
return 1
"""


def remember(rows: Sequence[tuple[str, bytes]], most: int, seconds: int) -> tuple[Any, ...]:
    """The arguments of EVAL for rows of one hash tag: three commands a row would cost the caller ten times as much."""
    keys, bodies = [key for key, _ in rows], [body for _, body in rows]
    return REMEMBER, len(keys), *keys, most, seconds, *bodies
