"""Says on the console when portal and library answer at port 80, and at which address guests find them."""

from __future__ import annotations

import http.client
import socket
import sys
import time

PATIENCE = 120.0
"""Seconds; a large library on a slow card takes a while to open."""

PORTAL, LIBRARY = "/", "/catalog/v2/root.xml"


def answers(path: str) -> bool:
    """Whether a page can be had."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    """0 when both answer, 1 when one didn't for two minutes."""
    deadline = time.monotonic() + PATIENCE
    while not (answers(PORTAL) and answers(LIBRARY)):
        if time.monotonic() > deadline:
            sys.stdout.write("cardshop: portal or library do not answer at port 80\n")
            return 1
        time.sleep(0.2)  # kiwix-serve tells nobody when it listens
    sys.stdout.write(f"cardshop: ready at http://{socket.getfqdn()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
