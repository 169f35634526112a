"""Who owns which partition, and reading its streams into debouncers and batchers.

In: leases and streams. Out: work for the committer and the publisher.
Imports: `debounce`, `fanout`, `metrics`, `pubnub_api`, `store`.
"""
