"""Addresses as people type them."""

from __future__ import annotations

from cardshop.contract.errors import InvalidInput
from cardshop.settings import Address
from cardshop.writer_host import DEFAULT_BROKER_PORT


def broker_address(text: str) -> Address:
    """``HOST`` or ``HOST:PORT``. Raises InvalidInput."""
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        return Address(text.strip(), DEFAULT_BROKER_PORT)
    if not port.isdigit():
        raise InvalidInput(
            f"The broker's port {port} is no number.", hint="Write HOST or HOST:PORT.", field="broker.port"
        )
    return Address(host, int(port))
