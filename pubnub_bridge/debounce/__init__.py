"""Stage 2, decide and commit: debounce presence, write flags, read them, enqueue notifications.

In: the presence log. Out: flags in the graph and notifications in the inbox streams.
May import `store`, `pubnub_api` and `model`; no other stage.
"""
