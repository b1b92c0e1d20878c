"""Free ports on loopback, chosen once for a stack and kept, so that its addresses stay the same."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from cardshop.contract.errors import Conflict, Unavailable
from cardshop.private_files import write_private

LOOPBACK = "127.0.0.1"

RANGE = range(20000, 32000)
"""Below Linux's ephemeral ports (32768 and up): no client's socket takes one of ours while we are down."""

PASSIVE_PORTS = 32
"""Width of the warehouse's block of ports for data connections."""


def free_port() -> int:
    """A loopback port that nobody uses now."""
    return free_block(1)


def free_block(width: int) -> int:
    """The first of ``width`` free loopback ports in a row."""
    chooser = random.SystemRandom()
    for _ in range(200):
        first = chooser.randrange(RANGE.start, RANGE.stop - width)
        if all(is_free(port) for port in range(first, first + width)):
            return first
    raise Unavailable("No free port was found on the loopback interface.")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def kept_ports(path: Path, names: Sequence[str]) -> dict[str, int]:
    """A port for each name, as in the file ``path``; names that it doesn't have yet get a free one.

    The name ``warehouse-passive`` stands for a block of :data:`PASSIVE_PORTS`.
    """
    ports: dict[str, int] = json.loads(path.read_text())["ports"] if path.exists() else {}
    for name in names:
        while name not in ports:
            port = free_block(PASSIVE_PORTS if name == "warehouse-passive" else 1)
            if not _taken(port, ports):
                ports[name] = port
    write_private(path, json.dumps({"ports": ports}, indent=2) + "\n")
    return ports


def require_free(ports: dict[str, int], path: Path) -> None:
    """Raises Conflict when another program listens on a port of ours."""
    taken = [f"{name} ({port})" for name, port in ports.items() if not is_free(port)]
    if taken:
        raise Conflict(
            f"Another program uses the port of: {', '.join(taken)}.",
            hint=f"Stop it, or remove {path} to have other ports chosen.",
        )


def _taken(port: int, ports: dict[str, int]) -> bool:
    return any(abs(port - other) <= PASSIVE_PORTS for other in ports.values())
