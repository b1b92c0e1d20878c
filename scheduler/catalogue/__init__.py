"""Reads what content publishers offer: OPDS feeds and metalinks, over HTTP with limits."""
