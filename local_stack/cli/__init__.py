"""The commands that the local stack adds to `friends-presence`.

In: arguments. Out: text and an exit code.
Imports: `data`, `engines`, `errors`, `jars`, `origin`, `stack`.
"""
