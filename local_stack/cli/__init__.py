"""The commands that the local stack adds to `friends-presence`.

In: arguments. Out: text and an exit code.
May import every room of `local_stack`.
"""
