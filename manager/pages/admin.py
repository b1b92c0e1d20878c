"""For admins: users, messages that could not be understood."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
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


@pages.get("/dead-letters")
def dead_letters() -> str:
    """Messages that nobody understood; the rest of the work is not held up by them."""
    return render_template("dead_letters.html", letters=api().get_all("dead-letters"))


@pages.route("/users", methods=["GET", "POST"])
def users() -> str | Response | tuple[str, int]:
    """All accounts, and the form for a new one."""
    if request.method == "GET":
        return _users({"role": ROLES[0]}, None)
    values = {name: request.form.get(name, "").strip() for name in ("username", "role", "email")}
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


def _users(values: dict[str, str], error: CardshopError | None) -> str:
    roles = [{"name": role} for role in ROLES]
    return render_template(
        "users.html", users=api().get_all("users"), roles=roles, values=values, error=error
    )
