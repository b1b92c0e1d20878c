"""Reads what publishers offer over HTTP, with limits: OPDS feeds (metalinks: ``cardshop.metalink``)."""
