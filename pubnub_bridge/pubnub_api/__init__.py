"""One file per way of talking to PubNub: SDK calls, publishes, tokens, time, App Context.

In: channels, users, message bodies. Out: results, never exceptions of the SDK.
Imports: `errors`, `metrics`, `model`.
"""
