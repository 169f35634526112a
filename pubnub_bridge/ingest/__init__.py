"""Stage 1, presence in: subscribe loops and the webhook, parsed and appended to the presence log.

In: bodies from PubNub. Out: presence events in the presence log.
Imports: `metrics`, `model`, `pubnub_api`, `store`.
"""
