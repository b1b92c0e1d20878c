"""A web server on loopback that serves contents as a mirror does, and misbehaves when asked to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import requests

SETTLE_SECONDS = 120


@dataclass
class Mirror:
    """The mirror's files by name, and what it does wrong."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    then: dict[str, bytes] = field(default_factory=dict)  # what a file is after it was asked for once
    redirects: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of an answer's body before the connection is closed
    stall_after: int | None = None  # bytes of an answer's body before nothing more is sent
    stalls: dict[str, int] = field(default_factory=dict)  # the same for files, by name
    trickle: bool = False  # a byte in a while, so that the connection never is silent
    knows_ranges: bool = True
    before_sending: Callable[[str], object] = lambda _name: None  # called with a file's name
    asked: list[tuple[str, str]] = field(default_factory=list)  # name and Range header of each request
    ending: threading.Event = field(default_factory=threading.Event)
    _answering: int = 0
    _sent: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def sent(self) -> int:
        """Bytes of files. Waits for the ends of all answers: who asked may have all before it is counted."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._answering == 0, SETTLE_SECONDS)
            return self._sent

    def settle(self) -> None:
        """All that was ever asked is in ``asked``, what a process asked that was killed at once too."""
        requests.head(self.url(""), timeout=SETTLE_SECONDS)  # refused, and taken after all others
        assert self.sent >= 0

    def count(self, *, answers: int = 0, sent: int = 0) -> None:
        """Adds to what is under way, and to what was sent."""
        with self._changed:
            self._answering += answers
            self._sent += sent
            self._changed.notify_all()

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"http://127.0.0.1:{self.port}/{quote(name)}"


@contextmanager
def serve_mirror() -> Iterator[Mirror]:
    """Runs a mirror on a free port."""
    mirror = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, mirror)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            mirror.count(answers=1)
            super().process_request(request, client_address)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                mirror.count(answers=-1)

    server = Server(("127.0.0.1", 0), Handler)
    mirror.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mirror
    finally:
        mirror.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, mirror: Mirror) -> None:
    name = unquote(request.path[1:])
    wanted = request.headers.get("Range", "")
    mirror.asked.append((name, wanted))
    if name in mirror.redirects:
        request.send_response(HTTPStatus.FOUND)
        request.send_header("Location", mirror.redirects[name])
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if name not in mirror.files:
        request.send_error(HTTPStatus.NOT_FOUND)
        return
    content = mirror.files[name]
    if name in mirror.then:
        mirror.files[name] = mirror.then.pop(name)
    start, end = _range(wanted, len(content)) if mirror.knows_ranges else (0, len(content))
    request.send_response(HTTPStatus.PARTIAL_CONTENT if wanted and mirror.knows_ranges else HTTPStatus.OK)
    if wanted and mirror.knows_ranges:
        request.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
    request.send_header("Content-Length", str(end - start))
    request.end_headers()
    request.close_connection = True
    mirror.before_sending(name)
    with suppress(ConnectionError):  # whoever asked has enough
        _send(request, mirror, content[start:end], mirror.stalls.get(name, mirror.stall_after))


def _send(request: BaseHTTPRequestHandler, mirror: Mirror, body: bytes, stall_after: int | None) -> None:
    if mirror.trickle:
        for byte in body:
            request.wfile.write(bytes([byte]))
            mirror.count(sent=1)
            if mirror.ending.wait(0.05):
                return
    limits = [limit for limit in (mirror.cut_after, stall_after) if limit is not None]
    body = body[: min(limits, default=len(body))]
    request.wfile.write(body)
    mirror.count(sent=len(body))
    if stall_after is not None:
        mirror.ending.wait()


def _range(wanted: str, size: int) -> tuple[int, int]:
    if not wanted:
        return 0, size
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1 if last else size
