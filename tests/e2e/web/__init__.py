"""Pages in a real Chromium, against the whole stack."""
