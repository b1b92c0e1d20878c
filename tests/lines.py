"""A line to a warehouse that can be cut: a TCP relay from 127.0.0.1 to the same ports of 127.0.0.2."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

from tests.warehouses import RealWarehouse

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class ProneLine:
    """Relays the control port and the passive ports of a warehouse until it is cut, and again after that."""

    def __init__(self, warehouse: RealWarehouse) -> None:
        self.cuts = 0  # connections that were cut
        self._host = warehouse.host
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listeners = [
            socket.create_server(("127.0.0.1", port)) for port in (warehouse.port, *warehouse.passive_ports)
        ]

    def __enter__(self) -> Self:
        for listener in self._listeners:
            self._start(self._accept, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """Resets every connection, both ways, in the middle of what it carries."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
                end.shutdown(socket.SHUT_RDWR)
                self.cuts += 1

    def _accept(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        while True:
            try:
                near, _address = listener.accept()
            except OSError:
                return
            far = socket.create_connection((self._host, port), source_address=("127.0.0.1", 0))
            self._ends += [near, far]
            self._start(self._relay, near, far)
            self._start(self._relay, far, near)

    def _relay(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _start(self, work: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
