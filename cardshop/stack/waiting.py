"""Waiting for a server of another program: it offers no event, so its port is tried at short intervals."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from cardshop.contract.errors import Unavailable
from cardshop.settings import Address

INTERVAL = 0.2
CONNECT_SECONDS = 2.0


def listens(address: Address) -> bool:
    """Whether a connection to this address is taken."""
    try:
        socket.create_connection((address.host, address.port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def wait_for(what: str, ready: Callable[[], bool], seconds: float) -> None:
    """Returns when ``ready()`` is true.

    Raises:
        Unavailable: it wasn't within ``seconds``; or what ``ready`` raises.
    """
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise Unavailable(f"{what} is not ready after {seconds:.0f} s.")
        time.sleep(INTERVAL)
