"""The commands of `friends-presence`.

In: arguments and the environment. Out: text, tables or JSON, and an exit code.
Imports: `api`, `client`, `doctor`, `process`, `runtime`, `settings`, `sizing`, `store`.
"""
