"""Stage 2, decide and commit: debounce presence, write flags, read them, enqueue notifications.

In: the presence log. Out: flags in the graph and notifications in the inbox streams.
Imports: `metrics`, `model`, `pubnub_api`, `store`.
"""
