"""What a product of some size needs and costs, reckoned before it is built. Pure but for two data files beside it.

Reads downwards: `simulate` puts a prediction together from `cost` (PubNub's bill), `machines` (cores and memory) and
`load` (rates), which know the product they are asked about (`product`), what a thing takes (`figures`, from
unit_costs.toml, measured) and what it costs (prices.toml, a list price with its date).

Imports: `fanout`, `model`.
"""
