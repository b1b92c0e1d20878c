"""What the composed system (``docker-compose.yml``) needs besides its services.

``prepare`` runs first: it makes the private authority, certificates, passwords and keys in one folder of the
host, once, and lays out for each service the few that it may read. ``database`` makes the replica set and its
accounts. ``password NAME`` shows a person's first password. ``healthy`` is what the health checks call.

Comes in: that folder, the variables of the compose file. Goes out: ``for/SERVICE/`` in it, mounted into the
service's container as ``/run/cardshop``.

Run: ``python -m cardshop.containers COMMAND``.
"""
