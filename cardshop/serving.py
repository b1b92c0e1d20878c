"""Serves a WSGI application under gunicorn, as every web service of ours does: processes with threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from cardshop.settings import Address

THREADS = 16
"""Requests that a process works on at the same time."""

DRAIN_SECONDS = 20
"""Time that requests in hand have to end after SIGTERM."""


def serve(
    make_app: Callable[[], Any],
    listen: Address,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    log_level: str = "INFO",
    processes: int = 1,
) -> None:
    """Serves until SIGTERM. ``make_app`` is called once in each process that answers.

    With ``certificate`` and ``key`` (PEM) it speaks HTTPS, without them plain HTTP. More than one process is
    for services that hold nothing in memory which all their answers need, such as sessions.
    """
    options: dict[str, Any] = {
        "bind": str(listen),
        "workers": processes,
        "worker_class": "gthread",
        "threads": THREADS,
        "graceful_timeout": DRAIN_SECONDS,
        "keepalive": 15,
        "certfile": str(certificate) if certificate else None,
        "keyfile": str(key) if key else None,
        "logger_class": _OurLogger,
        "loglevel": log_level.lower(),
        "control_socket_disable": True,
    }
    _Served(make_app, options).run()


class _Served(BaseApplication):
    def __init__(self, make_app: Callable[[], Any], options: dict[str, Any]) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make_app()


class _OurLogger(Logger):
    """Gunicorn's messages go where all others of the service go (:mod:`cardshop.logs`)."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
