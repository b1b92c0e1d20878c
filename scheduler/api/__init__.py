"""The API: one module a noun, with its documents (pydantic schemas) and its routes (Flask-RESTful)."""
