"""A service's line to the scheduler's API: HTTPS against the private CA, tokens fetched and renewed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from cardshop.contract.errors import CardshopError, NotAuthenticated, Unavailable, error_from_wire

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
RENEW_BEFORE_SECONDS = 120.0
"""A token with less time left than this is renewed before it is used."""


class SchedulerClient:
    """Calls the API as one account. Safe to share between threads.

    Args:
        url: ``https://host:port``.
        ca_file: PEM of the private CA; the system's own authorities are not trusted.
        username: the account.
        password: its password; kept in memory only.
        clock: seconds, monotonic.
        proxy: URL of a web proxy to go through; none when empty.
    """

    def __init__(
        self,
        url: str,
        ca_file: Path,
        username: str,
        password: str,
        clock: Callable[[], float] = time.monotonic,
        proxy: str = "",
    ) -> None:
        self._url = url.rstrip("/")
        self._ca_file = str(ca_file)
        self._credentials = {"username": username, "password": password}
        self._clock = clock
        self._proxies = {"https": proxy} if proxy else None
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def get(self, path: str, **query: str) -> Any:
        """The JSON at ``path``. Raises the CardshopError that the API told, or Unavailable."""
        return self._call("GET", path, query=query)

    def post(self, path: str, body: dict[str, Any], *, key: str = "") -> Any:
        """Posts JSON, returns JSON (None for an empty answer). Raises as :meth:`get`.

        With a ``key`` of the caller's choice, asking again after a lost answer does nothing twice.
        """
        return self._call("POST", path, body=body, key=key)

    def post_open(self, path: str, body: dict[str, Any]) -> Any:
        """As :meth:`post`, without showing who asks: for routes that are open to everyone."""
        return self._send("POST", path, {}, body, None)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """Puts JSON, returns JSON. Raises as :meth:`get`."""
        return self._call("PUT", path, body=body)

    def hold_order(self, order_id: str, why: str = "") -> Any:
        """Nothing more of the order goes to workers; the order. Safe twice. Raises as :meth:`get`."""
        return self.post(f"/v1/orders/{order_id}/hold", {"why": why})

    def release_order(self, order_id: str, why: str = "") -> Any:
        """Ends :meth:`hold_order`; the order. Safe twice. Raises as :meth:`get`."""
        return self.post(f"/v1/orders/{order_id}/release", {"why": why})

    def set_priority(self, order_id: str, priority: str, why: str = "") -> Any:
        """``low``, ``normal``, ``high`` or ``urgent``; the order. Safe twice. Raises as :meth:`get`."""
        return self.post(f"/v1/orders/{order_id}/priority", {"priority": priority, "why": why})

    def drain_worker(self, username: str, why: str = "") -> Any:
        """The worker ends what it has and gets nothing new. Safe to ask twice. Raises as :meth:`get`."""
        return self.post(f"/v1/workers/{username}/drain", {"why": why})

    def resume_worker(self, username: str, why: str = "") -> Any:
        """Ends :meth:`drain_worker`. Safe to ask twice. Raises as :meth:`get`."""
        return self.post(f"/v1/workers/{username}/resume", {"why": why})

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        key: str = "",
    ) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            return self._authorized(method, path, headers, body, query)
        except NotAuthenticated:
            self._forget_token()
            return self._authorized(method, path, headers, body, query)

    def _authorized(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any] | None,
        query: dict[str, str] | None,
    ) -> Any:
        token = {"Authorization": f"Bearer {self._access_token()}"}
        return self._send(method, path, {**headers, **token}, body, query)

    def _access_token(self) -> str:
        with self._lock:
            if self._clock() >= self._renew_at:
                # Machines hold their password anyway, so they log in again rather than keep a refresh token.
                answer = self._send("POST", "/v1/tokens", {}, self._credentials, None)
                self._token = str(answer["access_token"])
                self._renew_at = self._clock() + float(answer["expires_in"]) - RENEW_BEFORE_SECONDS
            return self._token

    def _forget_token(self) -> None:
        with self._lock:
            self._renew_at = 0.0

    def _send(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any] | None,
        query: dict[str, str] | None,
    ) -> Any:
        try:
            response = requests.request(
                method,
                self._url + path,
                json=body,
                params=query,
                headers=headers,
                verify=self._ca_file,
                proxies=self._proxies,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        except requests.RequestException as error:
            raise Unavailable(
                f"The scheduler at {self._url} does not answer.",
                hint=f"Is it running? ({type(error).__name__})",
            ) from error
        if response.ok:
            return response.json() if response.content else None
        raise error_told(response)


def error_told(response: requests.Response) -> CardshopError:
    """The error that an answer of the API tells: its problem document, or what its status says."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or "code" not in problem:
        if response.status_code >= 500:
            return Unavailable(f"The scheduler answered with status {response.status_code}.")
        return CardshopError(f"The scheduler answered with status {response.status_code}.")
    return error_from_wire({**problem, "sentence": problem.get("detail", problem.get("sentence", ""))})
