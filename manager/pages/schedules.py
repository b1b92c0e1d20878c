"""Schedules: what the shop does by itself and when; the form that makes and changes one."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
from manager.numbers import number
from manager.visitor import api

pages = Blueprint("schedules", __name__)

KINDS = {
    "order-recipe": "Order a recipe",
    "refresh-catalogues": "Read the catalogues",
    "expire-links": "End downloads",
    "delete-images": "Delete unused images",
    "close-stale-orders": "Close orders in which nothing moves",
    "clean-logs": "Delete old logs and unused pictures",
    "rotate-keys": "Sign tokens with a new key",
}
"""What people may schedule; the shop's own kinds are changed, not made."""

OF_OPERATORS = ("order-recipe",)

WRITABLE = ("name", "kind", "missed", "enabled", "order", "catalogue", "days")
TIMES = ("crontab", "timezone", "every_seconds", "at")
"""Fields that a schedule is told with and that go back as they are."""

OF_AGE = ("expire-links", "delete-images", "close-stale-orders", "clean-logs")
"""Kinds that ask how old."""

ENTRIES = {
    "order.recipe_id": "recipe_id",
    "order.quantity": "quantity",
    "order.recipient.name": "recipient",
    "order.recipient.email": "email",
}
"""The API's fields that have another name in the form."""

NEW = {
    "kind": "order-recipe",
    "when": "crontab",
    "crontab": "0 3 1 * *",
    "timezone": "UTC",
    "missed": "catch-up",
    "enabled": "yes",
    "quantity": "1",
}
"""What the form of a new schedule shows."""


@pages.get("/schedules")
def listing() -> str:
    """All schedules, with how their last runs went."""
    return render_template("schedules.html", schedules=api().get_all("schedules"), kinds=KINDS)


@pages.route("/schedules/new", methods=["GET", "POST"])
def new() -> str | Response | tuple[str, int]:
    """The form of a new schedule."""
    return _form(None, dict(NEW), None) if request.method == "GET" else _save(None)


@pages.route("/schedules/<schedule_id>", methods=["GET", "POST"])
def edit(schedule_id: str) -> str | Response | tuple[str, int]:
    """The form of a schedule that exists."""
    schedule = api().get("schedules", schedule_id)
    return _form(schedule, _values(schedule), None) if request.method == "GET" else _save(schedule)


@pages.post("/schedules/<schedule_id>/<any(run, on, off, delete):intent>")
def change(schedule_id: str, intent: str) -> Response:
    """Runs it now, turns it on or off, or removes it."""
    try:
        match intent:
            case "run":
                api().post("schedules", schedule_id, "runs")
                flash("It begins within seconds.", "good")
            case "delete":
                api().delete("schedules", schedule_id)
                flash("The schedule is deleted.", "info")
            case _:
                told = api().get("schedules", schedule_id)
                body = {name: told[name] for name in (*WRITABLE, *TIMES)}
                api().put("schedules", schedule_id, body={**body, "enabled": intent == "on"})
    except CardshopError as error:
        flash(f"{error.sentence} {error.hint}", "bad")
    return redirect(url_for("schedules.listing"), 303)


def _save(schedule: dict[str, Any] | None) -> str | Response | tuple[str, int]:
    values = {name: text.strip() for name, text in request.form.items()}
    if schedule:
        values["kind"] = schedule["kind"]
    try:
        body = _body(values)
        saved = (
            api().put("schedules", schedule["id"], body=body)
            if schedule
            else api().post("schedules", body=body)
        )
    except CardshopError as error:
        error.field = ENTRIES.get(error.field, error.field)
        return _form(schedule, values, error), error.status
    flash(f"The schedule {saved['name']} is saved.", "good")
    return redirect(url_for("schedules.listing"), 303)


def _body(values: dict[str, str]) -> dict[str, Any]:
    """What the API gets. A number that is none goes as it is: the API says what is wrong with it."""
    kind, when = values.get("kind", ""), values.get("when", "")
    body: dict[str, Any] = {
        "name": values.get("name", ""),
        "kind": kind,
        "missed": values.get("missed", "catch-up"),
        "enabled": values.get("enabled") == "yes",
    }
    if when == "crontab":
        body |= {"crontab": values.get("crontab", ""), "timezone": values.get("timezone", "UTC")}
    elif when == "every":
        body["every_seconds"] = number(values.get("every_seconds", ""))
    else:
        # The entry has no time zone of its own: it is in UTC, as the label says.
        body["at"] = f"{values.get('at', '')}Z"
    if kind == "order-recipe":
        body["order"] = {
            "recipe_id": values.get("recipe_id", ""),
            "quantity": number(values.get("quantity", "")),
            "recipient": {"name": values.get("recipient", ""), "email": values.get("email", "")},
        }
    elif kind == "refresh-catalogues":
        body["catalogue"] = values.get("catalogue", "")
    elif kind in OF_AGE:
        body["days"] = number(values.get("days", ""))
    return body


def _values(schedule: dict[str, Any]) -> dict[str, str]:
    order = schedule["order"] or {"recipient": {}}
    when = "crontab" if schedule["crontab"] else "every" if schedule["every_seconds"] else "at"
    return {
        **{
            name: str(schedule[name] or "")
            for name in ("name", "kind", "missed", "catalogue", "days", *TIMES)
        },
        "at": (schedule["at"] or "").removesuffix("Z"),
        "when": when,
        "enabled": "yes" if schedule["enabled"] else "",
        "recipe_id": order.get("recipe_id", ""),
        "quantity": str(order.get("quantity", 1)),
        "recipient": order["recipient"].get("name", ""),
        "email": order["recipient"].get("email", ""),
    }


def _form(schedule: dict[str, Any] | None, values: dict[str, str], error: CardshopError | None) -> str:
    may = KINDS if api().role == "admin" else OF_OPERATORS
    return render_template(
        "schedule.html",
        schedule=schedule,
        values=values,
        error=error,
        kinds=[{"name": kind, "text": text} for kind, text in KINDS.items() if kind in may],
        recipes=api().get_all("recipes"),
        timezones=[{"name": name} for name in sorted(available_timezones())],
    )
