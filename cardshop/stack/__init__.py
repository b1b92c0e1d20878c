"""The local stack: the whole of Cardshop on one machine, on loopback, without Docker and without root.

Comes in: a folder (``var/stack``). Goes out: RabbitMQ (TLS only), MongoDB (a replica set of one) and every
service of ours, running under one supervisor, with certificates, ports and passwords made on the first start
and kept in that folder.

``python -m cardshop.stack up | down | status | restart SERVICE | card insert SLOT | card remove SLOT``
"""
