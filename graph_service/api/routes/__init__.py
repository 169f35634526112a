"""The HTTP routes of the graph service, one file a noun.

In: checked calls. Out: response models.
May import `api` and `friends`.
"""
