"""The session of a log-in: its tokens in a private file, renewed when they are used up."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import requests

from cardshop.contract import wire
from cardshop.contract.errors import CardshopError, MessageRejected, NotAuthenticated, Unavailable
from cardshop.private_files import write_private
from cardshop.scheduler_client import CONNECT_SECONDS, READ_SECONDS, RENEW_BEFORE_SECONDS, error_told

LOG_IN = "Log in: cardshop login --url https://HOST:PORT --ca-file FILE"

PAGE = 1000
"""Items of a list that are asked for at once."""


@dataclass(frozen=True)
class Kept:
    """What the file holds."""

    url: str
    ca_file: str  # PEM of the shop's authority; empty: the system's authorities
    username: str
    access_token: str
    refresh_token: str  # good once
    renew_at: float  # seconds since the epoch


class Session:
    """Calls the API as who is logged in. Several commands at once take turns in renewing the tokens.

    Args:
        file: where the session is kept.
        clock: seconds since the epoch.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock

    def log_in(self, url: str, ca_file: str, username: str, password: str) -> None:
        """Begins a session. Raises NotAuthenticated, Unavailable, TooManyRequests."""
        kept = Kept(url.rstrip("/"), ca_file, username, "", "", 0.0)
        answer = _send(kept, "POST", "/v1/tokens", body={"username": username, "password": password})
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            self._keep(kept, answer)

    def log_out(self) -> None:
        """Ends the session, here and at the scheduler. Raises NotAuthenticated when there is none."""
        with self._alone():
            kept = self._read()
            try:
                _send(kept, "DELETE", "/v1/tokens", body={"refresh_token": kept.refresh_token})
            finally:
                self._file.unlink()

    def ca_file(self) -> Path | None:
        """PEM of the shop's own authority; None: the system's authorities. Raises NotAuthenticated."""
        named = self._read().ca_file
        return Path(named) if named else None

    def get(self, path: str, **query: str) -> Any:
        """The JSON at ``path``. Raises the CardshopError that the API told, or Unavailable."""
        return self._call("GET", path, query=query)

    def every(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page. Raises as :meth:`get`."""
        page, seen = 1, 0
        while True:
            answer = self.get(path, page=str(page), per_page=str(PAGE), **query)
            yield from answer["items"]
            seen += len(answer["items"])
            if not answer["items"] or seen >= answer["total"]:
                return
            page += 1

    def post(self, path: str, body: dict[str, Any], *, key: str = "") -> Any:
        """Posts JSON; asking again with the same ``key`` does nothing twice. Raises as :meth:`get`."""
        return self._call("POST", path, body=body, headers={"Idempotency-Key": key} if key else {})

    def _call(self, method: str, path: str, **what: Any) -> Any:
        kept = self._read()
        if self._clock() >= kept.renew_at:
            kept = self._renewed(kept)
        try:
            return _send(kept, method, path, **what)
        except NotAuthenticated:
            return _send(self._renewed(kept), method, path, **what)

    def _renewed(self, old: Kept) -> Kept:
        with self._alone():
            kept = self._read()
            if kept.access_token != old.access_token:  # another command was first; a token is good once
                return kept
            try:
                answer = _send(kept, "POST", "/v1/tokens/refresh", body={"refresh_token": kept.refresh_token})
            except NotAuthenticated:
                raise NotAuthenticated("The session has ended.", hint=LOG_IN) from None
            return self._keep(kept, answer)

    def _keep(self, kept: Kept, answer: dict[str, Any]) -> Kept:
        renew_at = self._clock() + float(answer["expires_in"]) - RENEW_BEFORE_SECONDS
        kept = replace(
            kept,
            access_token=str(answer["access_token"]),
            refresh_token=str(answer["refresh_token"]),
            renew_at=renew_at,
        )
        write_private(self._file, json.dumps(asdict(kept)))
        return kept

    def _read(self) -> Kept:
        try:
            return wire.from_wire(Kept, json.loads(self._file.read_text()))
        except (FileNotFoundError, ValueError, MessageRejected):
            raise NotAuthenticated("You are not logged in.", hint=LOG_IN) from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._file.parent.is_dir():
            raise NotAuthenticated("You are not logged in.", hint=LOG_IN)
        with self._file.with_name(self._file.name + ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _send(
    kept: Kept,
    method: str,
    path: str,
    *,
    body: dict[str, Any] | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    token = {"Authorization": f"Bearer {kept.access_token}"} if kept.access_token else {}
    try:
        response = requests.request(
            method,
            kept.url + path,
            json=body,
            params=query,
            headers={**(headers or {}), **token},
            verify=kept.ca_file or True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
    except requests.exceptions.SSLError as error:
        raise Unavailable(
            f"{kept.url} shows a certificate that isn't trusted.",
            hint="Give the shop's authority: cardshop login --ca-file FILE",
        ) from error
    except OSError as error:  # requests' own errors, and a CA file that isn't there
        raise Unavailable(
            f"The scheduler at {kept.url} does not answer.", hint=f"Is it running? ({type(error).__name__})"
        ) from error
    except ValueError as error:
        raise CardshopError(f"{kept.url} is no address.", hint=LOG_IN) from error
    if response.ok:
        return response.json() if response.content else None
    raise error_told(response)
