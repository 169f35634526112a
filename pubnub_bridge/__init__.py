"""The bridge: PubNub presence in, inbox messages out. Imports graph_service, never the reverse."""
