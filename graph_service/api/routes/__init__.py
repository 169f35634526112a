"""The HTTP routes of the graph service, one file a noun.

In: authenticated, validated requests. Out: response models.
Imports `api`, `friends`, `model`, `errors` and `metrics`; no driver.
"""
