"""Routes that need PubNub: sessions, syncs, visibility, the webhook, console, erasure, static files.

In: HTTP calls. Out: responses; engines come from the context, none is imported.
Imports: `debounce`, `errors`, `fanout`, `ingest`, `metrics`, `model`, `observe`, `pubnub_api`, `runtime`, `settings`, `store`.
"""
