"""How an image travels between a worker and the warehouse: what both ends must do alike."""
