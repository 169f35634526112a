"""The bridge between a real graph, a real queue, the local origin and official PubNub clients."""
