"""Logging in and out."""

from __future__ import annotations

import flask
from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError, InvalidInput, NotAuthenticated, TooManyRequests
from manager.security import local_path

pages = Blueprint("session", __name__)


@pages.route("/login", methods=["GET", "POST"])
def log_in() -> str | Response | tuple[str, int]:
    """The login form; a right name and password open a session."""
    target = local_path(request.args.get("to", ""))
    if request.method == "GET":
        return redirect(target) if g.api else render_template("login.html", username="", error=None)
    username = request.form.get("username", "").strip()
    try:
        session_id = g.sessions.open(username, request.form.get("password", ""))
    except (NotAuthenticated, InvalidInput):
        error: CardshopError = NotAuthenticated(
            "The name or the password is wrong.", hint="Capital letters matter in both."
        )
        return render_template("login.html", username=username, error=error), 401
    except TooManyRequests as refusal:
        return render_template("login.html", username=username, error=refusal), refusal.status
    flask.session.clear()  # what was in the cookie before the login is worth nothing after it
    flask.session["id"] = session_id
    return redirect(target, 303)


@pages.post("/logout")
def log_out() -> Response:
    """Ends the session, here and at the scheduler."""
    g.sessions.close(flask.session.get("id", ""))
    flask.session.clear()
    flash("You are logged out.", "info")
    return redirect(url_for("session.log_in"), 303)
