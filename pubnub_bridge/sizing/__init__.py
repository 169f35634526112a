"""Predict what a product of some size needs and costs, before it is built. Pure, except for two data files next to it.

In: a `product`. Out: a prediction (`simulate`), put together from `cost` (PubNub's bill), `machines` (cores and memory)
and `load` (rates), with measured unit costs (`figures`, unit_costs.toml) and a dated price list (prices.toml).

Imports: `fanout`, `model`.
"""
