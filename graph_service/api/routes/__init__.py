"""The HTTP routes of the graph service, one file a noun.

In: authenticated, validated requests. Out: response models.
May import `api` and `friends`.
"""
