"""SVG charts. Pure: numbers and names in, text out.

In: rows. Out: SVG.
May import nothing of `bench`.
"""
