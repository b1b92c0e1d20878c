"""The only place that knows MongoDB: one module a collection; ``store.store.Store`` joins them."""
