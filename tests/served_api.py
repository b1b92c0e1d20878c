"""The API over HTTPS, as a program outside of this process calls it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import make_server

from cardshop.stack.certificates import Authority
from scheduler.app import make_app
from tests.api import Api


@dataclass(frozen=True)
class ServedApi:
    """Where it is, and who signed its certificate."""

    url: str
    ca_file: Path


@contextmanager
def served(api: Api, folder: Path) -> Iterator[ServedApi]:
    """Serves ``api`` on a free port of loopback."""
    folder.mkdir()
    authority = Authority(folder)
    certificate = authority.server("scheduler")
    server = make_server(
        "127.0.0.1",
        0,
        make_app(api.services),
        threaded=True,
        ssl_context=(str(certificate.certificate), str(certificate.key)),
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ServedApi(f"https://127.0.0.1:{server.server_port}", authority.certificate_file)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
