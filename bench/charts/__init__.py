"""SVG charts. Pure: numbers and names in, text out.

In: rows. Out: SVG.
Imports: no other room.
"""
