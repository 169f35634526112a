"""The distributions as somebody else installs them. Knows files and commands; imports nothing of the product."""
