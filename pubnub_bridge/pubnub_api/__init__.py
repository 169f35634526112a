"""One file per way of talking to PubNub: SDK calls, publishes, tokens, time, App Context.

In: channels, users, message bodies. Out: results, never exceptions of the SDK.
May import `model`, `metrics` and `errors`.
"""
