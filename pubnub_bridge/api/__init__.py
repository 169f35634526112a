"""Routes that need PubNub: sessions, syncs, visibility, the webhook, console, erasure, static files.

In: HTTP calls. Out: responses; engines come from the context, none is imported.
May import `runtime` and everything below it.
"""
