"""Chaos tests: the whole system, killed and disturbed under load, and a judge that shares no code with the bridge.

Run by ``make chaos``; tests use its parts. Only `planted` and `bridge` import the bridge's code: the first plants bugs to
prove the judge, the second starts a process.
"""
