"""The commands and examples of the documentation, run as written."""
