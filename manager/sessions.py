"""Who is logged in: the users' API tokens, in the manager's memory, each behind a random session id."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cardshop.contract.errors import CardshopError, NotAuthenticated
from manager.api import SchedulerApi

IDLE_SECONDS = 12 * 3600.0
"""A session that nobody used for so long is over: a shift's length."""

RENEW_BEFORE_SECONDS = 120.0
"""An access token with less time left than this is renewed before it is used."""


@dataclass
class _Session:
    username: str
    role: str = ""
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    renew_at: float = 0.0
    used_at: float = 0.0
    # A refresh token is used once: two requests of one user must not both use it.
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


class UserApi:
    """The scheduler's API as one user sees it. Safe to share between threads.

    Every call raises the CardshopError that the API told; :class:`NotAuthenticated` means that the session is
    over.
    """

    def __init__(self, api: SchedulerApi, session: _Session, clock: Callable[[], float]) -> None:
        self._api = api
        self._session = session
        self._clock = clock

    @property
    def username(self) -> str:
        """Name of the user."""
        return self._session.username

    @property
    def role(self) -> str:
        """The user's role; it decides which links are shown, and the scheduler what is allowed."""
        return self._session.role

    def get(self, *segments: str, **query: str) -> Any:
        """The JSON at ``/v1/<segments>``; a query field that is empty is left out."""
        return self._call("GET", segments, query={name: text for name, text in query.items() if text})

    def get_all(self, *segments: str, **query: str) -> list[dict[str, Any]]:
        """The items of a list answer."""
        items: list[dict[str, Any]] = self.get(*segments, **query)["items"]
        return items

    def post(self, *segments: str, body: dict[str, Any] | None = None, key: str = "") -> Any:
        """Posts JSON; returns JSON. Asking again with the same ``key`` does nothing twice."""
        return self._call("POST", segments, body=body or {}, key=key)

    def put(self, *segments: str, body: dict[str, Any]) -> Any:
        """Puts JSON; returns JSON."""
        return self._call("PUT", segments, body=body)

    def patch(self, *segments: str, body: dict[str, Any]) -> Any:
        """Changes the fields of ``body``; returns JSON."""
        return self._call("PATCH", segments, body=body)

    def delete(self, *segments: str) -> None:
        """Deletes the thing at ``/v1/<segments>``."""
        self._call("DELETE", segments)

    def _call(
        self,
        method: str,
        segments: tuple[str, ...],
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        key: str = "",
    ) -> Any:
        token = self._access_token(refused="")
        try:
            return self._api.call(method, *segments, token=token, body=body, query=query, key=key)
        except NotAuthenticated:
            token = self._access_token(refused=token)
            return self._api.call(method, *segments, token=token, body=body, query=query, key=key)

    def _access_token(self, *, refused: str) -> str:
        session = self._session
        with session.lock:
            if session.access_token == refused or self._clock() >= session.renew_at:
                pair = self._api.call(
                    "POST", "tokens", "refresh", body={"refresh_token": session.refresh_token}
                )
                _keep_pair(session, pair, self._clock())
            return session.access_token


class Sessions:
    """All sessions of this process.

    Args:
        api: the scheduler.
        clock: seconds, monotonic.
    """

    def __init__(self, api: SchedulerApi, clock: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def open(self, username: str, password: str) -> str:
        """Logs the user in; returns the new session's id.

        Raises:
            NotAuthenticated: wrong name or password, or a disabled user.
            TooManyRequests: too many failed logins.
        """
        pair = self._api.call("POST", "tokens", body={"username": username, "password": password})
        session = _Session(username=username, used_at=self._clock())
        _keep_pair(session, pair, self._clock())
        me = self._api.call("GET", "me", token=session.access_token)
        session.username, session.role = str(me["username"]), str(me["role"])
        session_id = secrets.token_urlsafe(32)
        with self._lock:
            self._drop_idle()
            self._sessions[session_id] = session
        return session_id

    def find(self, session_id: str) -> UserApi | None:
        """The API for the user of that session; ``None`` when it is over, or of another process."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or session.used_at + IDLE_SECONDS < self._clock():
                return None
            session.used_at = self._clock()
            return UserApi(self._api, session, self._clock)

    def forget(self, session_id: str) -> None:
        """Ends a session whose tokens are worth nothing any more."""
        with self._lock:
            self._sessions.pop(session_id, None)

    def close(self, session_id: str) -> None:
        """Logs out: ends the session here, and its tokens at the scheduler."""
        with self._lock:
            session = self._sessions.pop(session_id, None)
        if session is None:
            return
        try:
            self._api.call(
                "DELETE", "tokens", token=session.access_token, body={"refresh_token": session.refresh_token}
            )
        except CardshopError:
            return  # the tokens are forgotten here, and end by their age there

    def _drop_idle(self) -> None:
        oldest = self._clock() - IDLE_SECONDS
        for session_id in [key for key, session in self._sessions.items() if session.used_at < oldest]:
            del self._sessions[session_id]


def _keep_pair(session: _Session, pair: dict[str, Any], now: float) -> None:
    session.access_token = str(pair["access_token"])
    session.refresh_token = str(pair["refresh_token"])
    session.renew_at = now + float(pair["expires_in"]) - RENEW_BEFORE_SECONDS
