"""The scheduler: the shop's office, and the only owner of its database.

Does: keeps accounts, recipes, orders and tasks; issues tokens; answers RabbitMQ's and the warehouse's
questions "who is this, may they?". Serves the API (``/v1``, described by ``/v1/openapi.json``).

Comes in: HTTPS requests of people (through the manager), of workers (one claim a task), of RabbitMQ and of
the warehouse; OPDS feeds and metalinks of content mirrors.
Goes out: answers; records in MongoDB, among them the outbox, whose lines beat publishes as tasks.

Run: ``python -m scheduler``; ``python -m scheduler seed --file seed.json`` fills a new shop.
The rules are in ``domain``, the records in ``store``, the use cases in ``shop``, the routes in ``api``.
"""
