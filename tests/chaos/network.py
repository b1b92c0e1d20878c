"""A network of its own for each worker, whose one cable can be cut.

A worker runs in a network namespace. Its loopback leads to the shop's through a proxy that this process
holds: a listener in the namespace for every port of the shop. While the cable is cut, not a byte passes and
no connection ends, as with a real one; nobody is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from cardshop.programs import find, run
from cardshop.stack.ports import LOOPBACK

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PIECE_BYTES = 64 * 1024
PROGRAM_SECONDS = 120
CLONE_NEWNET = 0x40000000
"""Of ``setns(2)``: the descriptor is one of a network namespace."""


class Cable:
    """The way from one worker's namespace to the shop."""

    def __init__(self, namespace: str, ports: Iterable[int]) -> None:
        self._namespace = namespace
        self._listeners = _listeners(namespace, ports)
        self._whole = asyncio.Event()
        self._whole.set()
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self) -> None:
        """Passes bytes until it is cancelled."""
        servers = [
            await asyncio.start_server(self._handler(listener.getsockname()[1]), sock=listener)
            for listener in self._listeners
        ]
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            await asyncio.gather(*(server.serve_forever() for server in servers))

    def cut(self) -> None:
        """From here on nothing passes."""
        self._whole.clear()

    def mend(self, *, forgotten: bool) -> None:
        """Bytes pass again; ``forgotten``: connections of before are dead, as after a router's restart."""
        if forgotten:
            for writer in list(self._open):
                writer.transport.abort()
        self._whole.set()

    def _handler(self, port: int) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._whole.wait()
            try:
                far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                writer.transport.abort()
                return
            ends = {writer, far_writer}
            self._open |= ends
            try:
                await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
            except OSError:
                pass
            finally:
                self._open -= ends
                for end in ends:
                    end.transport.abort()

        return handle

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._whole.wait()
            writer.write(piece)
            await writer.drain()
        await self._whole.wait()
        if writer.can_write_eof():
            writer.write_eof()


class Network:
    """The cables of some workers; a context manager, for root only.

    Args:
        workers: their names.
        ports: of the shop, on loopback; those that nobody listens on yet too.
    """

    def __init__(self, workers: Iterable[str], ports: Iterable[int]) -> None:
        mark = secrets.token_hex(3)
        self._namespaces = {worker: f"cardshop-{mark}-{worker}" for worker in workers}
        self._ports = sorted(set(ports))
        self._cables: dict[str, Cable] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for worker, namespace in self._namespaces.items():
            _ip("netns", "add", namespace)
            # Not "ip -netns": it wants to mount, which a chroot doesn't let it.
            run([*_inside(namespace), find("ip"), "link", "set", "lo", "up"], timeout=PROGRAM_SECONDS)
            cable = self._cables[worker] = Cable(namespace, self._ports)
            asyncio.run_coroutine_threadsafe(cable.serve(), self._loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PROGRAM_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for namespace in self._namespaces.values():
            _ip("netns", "delete", namespace)

    def within(self) -> dict[str, tuple[str, ...]]:
        """By worker: the command that puts another into its network."""
        return {worker: _inside(namespace) for worker, namespace in self._namespaces.items()}

    def cut(self, worker: str) -> None:
        """Cuts a worker's cable. Nothing when it is cut already."""
        self._loop.call_soon_threadsafe(self._cables[worker].cut)

    def mend(self, worker: str, *, forgotten: bool) -> None:
        """Mends it, as :meth:`Cable.mend`."""
        cable = self._cables[worker]
        self._loop.call_soon_threadsafe(lambda: cable.mend(forgotten=forgotten))

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _ip(*arguments: str) -> None:
    run([find("ip"), *arguments], timeout=PROGRAM_SECONDS)


def _inside(namespace: str) -> tuple[str, str]:
    return find("nsenter"), f"--net={_path(namespace)}"


def _path(namespace: str) -> Path:
    return Path("/run/netns") / namespace


def _listeners(namespace: str, ports: Iterable[int]) -> list[socket.socket]:
    """Sockets that listen in another namespace. A socket stays where it was made, so a thread goes there."""
    made: list[socket.socket] = []
    failures: list[OSError] = []

    def make() -> None:
        try:
            _enter(namespace)
            made.extend(socket.create_server((LOOPBACK, port), backlog=64) for port in ports)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return made


def _enter(namespace: str) -> None:
    """Moves the calling thread; ``os.setns`` came with Python 3.12."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(_path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if library.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
