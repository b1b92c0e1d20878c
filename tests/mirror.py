"""A web server on loopback that serves contents as a mirror does, and misbehaves when asked to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote


@dataclass
class Mirror:
    """The mirror's files by name, and what it does wrong."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of an answer's body before the connection is closed
    knows_ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)  # name and Range header of each request

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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mirror.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mirror
    finally:
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
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and mirror.knows_ranges else 0
    request.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    end = len(content) if mirror.cut_after is None else start + mirror.cut_after
    request.wfile.write(content[start:end])
    request.close_connection = True
