"""A line to a warehouse, to be cut or held: a TCP relay from 127.0.0.1 to the same ports of 127.0.0.2."""

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
        self.carried = 0  # bytes, from the warehouse
        self._hold_after: int | None = None
        self._moved = threading.Condition()
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
        self.hold_after(None)
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def hold_after(self, carried: int | None) -> None:
        """From so many carried bytes on nothing comes from the warehouse any more; None: all comes."""
        with self._moved:
            self._hold_after = carried
            self._moved.notify_all()

    def wait_until_held(self) -> None:
        """Waits until the line holds something back."""
        with self._moved:
            held = self._moved.wait_for(
                lambda: self._hold_after is not None and self.carried >= self._hold_after, 60
            )
        assert held, f"only {self.carried} bytes were carried"

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
            try:
                far = socket.create_connection((self._host, port), source_address=("127.0.0.1", 0))
            except OSError:  # who came has gone, and the warehouse waits there no more
                near.close()
                continue
            self._ends += [near, far]
            self._start(self._relay, near, far)
            self._start(self._relay, far, near, self._count)

    def _count(self, carried: int) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._hold_after is None or self.carried < self._hold_after)
            self.carried += carried
            self._moved.notify_all()

    def _relay(
        self,
        source: socket.socket,
        target: socket.socket,
        count: Callable[[int], None] = lambda _carried: None,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                count(len(data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
