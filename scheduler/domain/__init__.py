"""The shop's rules, pure: no Flask, no Celery, no database. Imports the standard library and the contract."""
