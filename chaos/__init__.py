"""Faults on purpose: the whole system, killed and disturbed under load, and a judge that shares no code with the bridge.

A folder of its own beside ``bench``, since a person runs it (``make chaos``) and the tests use its parts. Only
`planted` and `bridge` know the bridge's code: the one plants bugs to prove the judge, the other starts a process.
"""
