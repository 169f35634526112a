"""Values and codecs that the stages share: presence events, notifications, messages as bytes.

In: nothing. Out: plain values.
May import `graph_service.model.model`; does no I/O.
"""
