"""Stage 3, notifications out: batch per inbox, publish, relay friend changes, post events.

In: the inbox streams and the outbox. Out: published messages.
Imports: `metrics`, `model`, `pubnub_api`, `store`.
"""
