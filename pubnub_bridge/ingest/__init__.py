"""Stage 1, presence in: subscribe loops and the webhook, parsed and appended to the presence log.

In: bodies from PubNub. Out: presence events in the presence log.
May import `store`, `pubnub_api` and `model`; no other stage.
"""
