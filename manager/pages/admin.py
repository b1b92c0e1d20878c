"""For admins: users, messages that could not be understood."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
from cardshop.languages import MAIL_LANGUAGES
from manager.visitor import api

pages = Blueprint("admin", __name__)

ROLES = (
    "operator",
    "technician",
    "client",
    "admin",
    "creator",
    "writer",
    "warehouse",
    "manager",
    "monitor",
    "beat",
)


LETTER_STATES = ("waiting", "replayed", "discarded")


@pages.get("/dead-letters")
def dead_letters() -> str:
    """Messages that nobody understood, and how the monitors keep up with the rest."""
    state = request.args.get("state", LETTER_STATES[0])
    return render_template(
        "dead_letters.html",
        state=state,
        states=LETTER_STATES,
        letters=api().get_all("dead-letters", state=state, per_page="200"),
        monitors=api().get_all("monitors"),
    )


@pages.post("/dead-letters/<letter_id>/<any(replay, discard):intent>")
def decide(letter_id: str, intent: str) -> Response:
    """Gives a message another chance, or puts it away."""
    try:
        api().post("dead-letters", letter_id, intent)
    except CardshopError as error:
        flash(f"{error.sentence} {error.hint}", "bad")
    else:
        flash("The message was replayed." if intent == "replay" else "The message was discarded.", "good")
    return redirect(url_for("admin.dead_letters"), 303)


@pages.route("/users", methods=["GET", "POST"])
def users() -> str | Response | tuple[str, int]:
    """All accounts, and the form for a new one."""
    if request.method == "GET":
        return _users({"role": ROLES[0]}, None)
    values = {name: request.form.get(name, "").strip() for name in ("username", "role", "email", "language")}
    body: dict[str, Any] = {name: text for name, text in values.items() if text}
    try:
        api().post("users", body={**body, "password": request.form.get("password", "")})
    except CardshopError as error:
        return _users(values, error), error.status
    flash(f"{values['username']} can log in now.", "good")
    return redirect(url_for("admin.users"), 303)


@pages.post("/users/<username>/<any(disable, enable):intent>")
def switch(username: str, intent: str) -> Response:
    """Shuts a user out, or lets them in again."""
    try:
        api().patch("users", username, body={"disabled": intent == "disable"})
    except CardshopError as error:
        flash(f"{error.sentence} {error.hint}", "bad")
    return redirect(url_for("admin.users"), 303)


@pages.post("/users/<username>/mails")
def change_mails(username: str) -> Response:
    """Where mails to a user go, and in which language."""
    body = {name: request.form.get(name, "").strip() for name in ("email", "language")}
    try:
        api().patch("users", username, body={name: text for name, text in body.items() if text})
    except CardshopError as error:
        flash(f"{username}: {error.sentence} {error.hint}", "bad")
    else:
        flash(f"Mails to {username} go to {body['email'] or 'the address as before'}.", "good")
    return redirect(url_for("admin.users"), 303)


def _users(values: dict[str, str], error: CardshopError | None) -> str:
    roles = [{"name": role} for role in ROLES]
    return render_template(
        "users.html",
        users=api().get_all("users"),
        roles=roles,
        values=values,
        error=error,
        mail_languages=MAIL_LANGUAGES,
    )
