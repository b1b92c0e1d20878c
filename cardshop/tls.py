"""TLS between services: 1.2 or newer, always verified against the private CA."""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(ca_file: Path) -> ssl.SSLContext:
    """For a client: trusts only ``ca_file`` (PEM) and checks the server's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca_file)
    return context


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """For a server that shows ``certificate`` (PEM, with its chain) and holds its ``key``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
