"""Values and codecs that the stages share: presence events, notifications, messages as bytes.

In: nothing. Out: plain values.
Imports: no other room.
"""
