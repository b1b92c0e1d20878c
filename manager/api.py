"""The manager's line to the scheduler's API; whose token it shows is said with each call."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cardshop.contract.errors import NotFound, Unavailable
from cardshop.scheduler_client import CONNECT_SECONDS, READ_SECONDS, error_told

CONNECTIONS = 16
"""Kept open: pages that are watched ask each second, and a TLS handshake costs more than the answer."""


class SchedulerApi:
    """Calls the scheduler. Safe to share between threads.

    Args:
        url: ``https://host:port``.
        ca_file: PEM of the private CA; the system's own authorities are not trusted.
    """

    def __init__(self, url: str, ca_file: Path) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # The session is shared by all users: it must remember nothing of one for the next.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.trust_env = False
        self._session.verify = str(ca_file)
        again = Retry(total=1, connect=1, read=1, allowed_methods={"GET"}, status=0, redirect=0)
        self._session.mount(self._url, HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=again))

    def call(
        self,
        method: str,
        *segments: str,
        token: str = "",
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        key: str = "",
    ) -> Any:
        """The JSON that ``/v1/<segments>`` answers; ``None`` for an empty answer.

        A ``key`` of the caller's choice makes it safe to ask again for what must not be done twice.

        Raises:
            CardshopError: the error that the API told.
            Unavailable: the scheduler doesn't answer.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if key:
            headers["Idempotency-Key"] = key
        try:
            response = self._session.request(
                method,
                self._url + _path(segments),
                json=body,
                params=query,
                headers=headers,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unavailable(
                "The scheduler does not answer.",
                hint="Your orders go on without this page. Try again in a moment.",
            ) from error
        if response.ok:
            return response.json() if response.content else None
        raise error_told(response)


def _path(segments: tuple[str, ...]) -> str:
    if any(segment in {"", ".", ".."} for segment in segments):
        raise NotFound("There is no such page.")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
