"""The search over resection plans."""
