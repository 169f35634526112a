"""The distributions as users install them: files and commands; nothing of the product is imported."""
