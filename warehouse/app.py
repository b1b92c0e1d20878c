"""Puts the warehouse together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from pyftpdlib.servers import ThreadedFTPServer

from cardshop.scheduler_client import SchedulerClient
from warehouse.authorizer import TokenJudge
from warehouse.filesystem import ImageFolder
from warehouse.handler import Session
from warehouse.settings import Settings
from warehouse.shelving import ShelfFolder

MOST_SESSIONS = 200
MOST_SESSIONS_PER_ADDRESS = 50
"""The writers of a whole site may come from one address."""


class Server(ThreadedFTPServer):  # type: ignore[misc]  # the library has no types
    """One thread a session.

    Asking the scheduler about a token and checking an image of many gigabytes both block. In a thread of its
    own a session may wait for them while the others go on, and TLS and SHA-256 release the interpreter's
    lock, so several transfers use several cores.
    """

    max_cons = MOST_SESSIONS
    max_cons_per_ip = MOST_SESSIONS_PER_ADDRESS

    def _start_task(self, *args: Any, **kwargs: Any) -> threading.Thread:
        # A check of minutes must not hold up the end of the process: the part stays and is checked again.
        return threading.Thread(*args, daemon=True, **kwargs)


def make_server(settings: Settings, judge: TokenJudge, clock: Callable[[], datetime]) -> Server:
    """A server that listens; ``serve_forever`` runs it."""
    for folder in filter(None, (settings.images, settings.shelf)):
        folder.mkdir(parents=True, exist_ok=True)
    # The library tells each command at its own levels; ours are told by the handler, a line each.
    logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
    members = {
        "judge": judge,
        "folder": ImageFolder(settings.images),
        "shelf": ShelfFolder(settings.shelf, settings.shelf_file_bytes),
        "clock": staticmethod(clock),
        "ssl_context": tls_context(settings.tls_cert, settings.tls_key),
        "passive_ports": settings.passive_ports.ports if settings.passive_ports else None,
    }
    # The library makes one handler a connection from a class; a class of our own a server keeps two apart.
    handler = type("ServedSession", (Session,), members)
    return Server((settings.listen.host, settings.listen.port), handler)


def scheduler_client(settings: Settings) -> SchedulerClient:
    """The scheduler of these settings."""
    return SchedulerClient(settings.scheduler_url, settings.ca_file, settings.username, settings.password)


def tls_context(certificate: Path, key: Path) -> SSL.Context:
    """TLS 1.2 or later with this certificate. The library needs OpenSSL's own kind of context."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    context.check_privatekey()
    return context
