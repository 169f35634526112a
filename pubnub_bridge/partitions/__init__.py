"""Who owns which partition, and reading its streams into debouncers and batchers.

In: leases and streams. Out: work for the committer and the publisher.
May import the stages, `store`, `pubnub_api` and `model`.
"""
