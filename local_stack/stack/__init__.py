"""The whole system in the foreground: credentials, data folder, service, origin, third-party files of the pages.

In: options of `up`. Out: running processes and their addresses.
Imports: `engines`, `errors`, `jars`, `origin`.
"""
