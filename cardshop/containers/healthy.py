"""Health checks of containers: each asks for work done, where the service can tell of it.

They run every few seconds in every container, so they import little.
"""

from __future__ import annotations

import ftplib
import json
import ssl
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cardshop.contract.errors import Unavailable
from cardshop.settings import Address
from cardshop.tls import client_context

ANSWER_SECONDS = 5.0


def answers(url: str, ca_file: Path) -> None:
    """The service at ``url`` says that it is well. Raises Unavailable."""
    status = _ask(url, ca_file).get("status")
    if status != "ok":
        raise Unavailable(f"{url} says: {status}")


def has_worked(
    work: str,
    within_seconds: float,
    scheduler_url: str,
    ca_file: Path,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """The scheduler knows that ``work`` (as ``event-folded``) was done lately. Raises Unavailable."""
    last = _ask(f"{scheduler_url}/v1/health", ca_file).get("work", {}).get(work)
    if last is None:
        raise Unavailable(f"{work}: not yet")
    seconds = (clock() - datetime.fromisoformat(last)).total_seconds()
    if seconds > within_seconds:
        raise Unavailable(f"{work}: {seconds:.0f} s ago")


def offers_ftps(server: Address, ca_file: Path) -> None:
    """An FTP server answers there, and speaks TLS as its own. Raises Unavailable."""
    try:
        with ftplib.FTP_TLS(context=client_context(ca_file), timeout=ANSWER_SECONDS) as session:  # noqa: S321
            session.connect(server.host, server.port)
            session.auth()
    except (OSError, ftplib.Error, EOFError) as error:
        raise Unavailable(f"{server}: {error}") from error


def _ask(url: str, ca_file: Path) -> dict[str, Any]:
    context: ssl.SSLContext = client_context(ca_file)
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS, context=context) as answer:  # noqa: S310
            told: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise Unavailable(f"{url}: {error}") from error
    return told
