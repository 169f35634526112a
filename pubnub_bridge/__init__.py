"""Presence in, inbox messages out. Knows PubNub; uses graph_service, never the reverse."""
