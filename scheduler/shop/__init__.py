"""What can be done in the shop: the use cases, one module a noun.

Here the rules of ``scheduler.domain`` meet the records of ``scheduler.store``, each use case one transaction.
The API, the monitor and beat come in by this door; nothing here knows Flask, Celery or MongoDB.
"""
