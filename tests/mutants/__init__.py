"""Changes of the real code, each of which breaks a promise: every one must fail at least one fast test."""
