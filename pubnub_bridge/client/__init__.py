"""A user's device, as `watch`, `join`, the demo and the tests need one.

In: messages of the inbox. Out: the friend list that a user sees.
Imports: `settings`.
"""
