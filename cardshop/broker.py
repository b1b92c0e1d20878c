"""Reaching RabbitMQ: AMQP over TLS against the private CA, one account a service."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from kombu import Connection

from cardshop.contract import names

HEARTBEAT_SECONDS = 30
"""A connection that is dead is noticed after two of these."""

CONNECT_SECONDS = 20.0
"""Longest wait for each answer while a connection is made. RabbitMQ gives the scheduler 15 s to say who may
log in: a busy machine needs some of them, and who hangs up early only asks again."""


def tls_options(ca_file: Path, host: str) -> dict[str, Any]:
    """What py-amqp needs to speak TLS to ``host``, verified."""
    return {"ca_certs": str(ca_file), "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host}


def connection(host: str, port: int, username: str, password: str, ca_file: Path) -> Connection:
    """A connection that isn't open yet; each message that it publishes is confirmed."""
    return Connection(
        hostname=host,
        port=port,
        userid=username,
        password=password,
        virtual_host=names.VHOST,
        transport="pyamqp",
        ssl=tls_options(ca_file, host),
        heartbeat=HEARTBEAT_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        transport_options={"confirm_publish": True},
    )
