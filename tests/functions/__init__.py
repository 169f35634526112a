"""PubNub Functions under Node, against a local origin. Knows how they are run, not what they decide."""
