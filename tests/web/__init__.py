"""The browser's parts, without a browser."""
