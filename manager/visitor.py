"""Who asks for a page: the door that lets only logged-in users through, and their API."""

from __future__ import annotations

from typing import cast

import flask
from flask import Flask, flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import NotAuthenticated
from manager.sessions import Sessions, UserApi

OPEN_ENDPOINTS = {"static", "health", "session.log_in"}
"""All that is answered without a session."""


def let_in(app: Flask, sessions: Sessions) -> None:
    """Sends who is not logged in to the login page, for every route but :data:`OPEN_ENDPOINTS`."""

    @app.before_request
    def find_visitor() -> Response | None:
        g.sessions = sessions
        session_id = flask.session.get("id")
        g.api = sessions.find(session_id) if session_id else None
        if g.api or request.endpoint in OPEN_ENDPOINTS or request.endpoint is None:
            return None
        if session_id:
            flask.session.clear()
            flash(
                "Your session has ended (a long pause, or an update of this site). Please log in again.",
                "info",
            )
        return _to_login()

    @app.errorhandler(NotAuthenticated)
    def session_is_over(_error: NotAuthenticated) -> Response:
        sessions.forget(flask.session.pop("id", ""))
        flash("Your session was ended by the scheduler. Please log in again.", "info")
        return _to_login()


def api() -> UserApi:
    """The API with the token of the user who asks."""
    return cast(UserApi, g.api)


def wants_json() -> bool:
    """Whether our script asks, and not a person's browser for a page."""
    return request.accept_mimetypes.best == "application/json"


def _to_login() -> Response:
    if wants_json():
        return Response('{"login": true}', status=401, content_type="application/json")
    came_for = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("session.log_in", to=came_for if came_for not in {"", "/"} else None), 303)
