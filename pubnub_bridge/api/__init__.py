"""Routes that need PubNub: sessions, syncs, visibility, the webhook, console, erasure, static files.

In: HTTP requests. Out: responses; databases and clients come from the context, none is imported.
Imports: `debounce`, `errors`, `fanout`, `ingest`, `metrics`, `model`, `observe`, `pubnub_api`, `runtime`, `settings`, `store`.
"""
