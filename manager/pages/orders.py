"""Orders: the list, one order live, a new one."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError, Conflict
from cardshop.languages import MAIL_LANGUAGES
from manager.image_files import image_file
from manager.numbers import number
from manager.order_view import verified, view
from manager.visitor import api

pages = Blueprint("orders", __name__)

FORM_FIELDS = (
    "key",
    "recipe_id",
    "medium",
    "quantity",
    "recipient.name",
    "recipient.email",
    "recipient.address",
    "recipient.language",
)


@pages.get("/")
def front() -> Response:
    """The front page is the list of orders."""
    return redirect(url_for("orders.listing"))


@pages.get("/orders")
def listing() -> str:
    """All orders that the user may see."""
    return render_template("orders.html", orders=api().get_all("orders"), verified=verified)


@pages.get("/orders/live")
def listing_live() -> dict[str, Any]:
    """The list's live part, for the script."""
    html = render_template("parts/orders.html", orders=api().get_all("orders"), verified=verified)
    return {"html": html, "final": False, "title": ""}


@pages.get("/orders/<order_id>")
def one(order_id: str) -> str:
    """One order: where it is, its image, its cards, its history."""
    return render_template("order.html", view=view(api().get("orders", order_id)))


@pages.get("/orders/<order_id>/live")
def one_live(order_id: str) -> dict[str, Any]:
    """The order's live part, for the script."""
    shown = view(api().get("orders", order_id))
    percent = f"{shown.percent} % · " if shown.percent is not None else ""
    return {
        "html": render_template("parts/order.html", view=shown),
        "final": shown.final,
        "title": f"{percent}Order {shown.order['number']}",
    }


@pages.route("/orders/new", methods=["GET", "POST"])
def new() -> str | Response | tuple[str, int]:
    """The form of a new order. Its key makes it one order, however often it is sent."""
    if request.method == "GET":
        blank = {"recipe_id": request.args.get("recipe", ""), "quantity": "1", "key": _new_key()}
        return _form(blank, None)
    values = {name: request.form.get(name, "").strip() for name in FORM_FIELDS}
    try:
        order = api().post("orders", body=_body(values), key=values["key"])
    except Conflict as error:  # this form became an order, and was changed after that: now they know
        return _form({**values, "key": _new_key()}, error), error.status
    except CardshopError as error:
        return _form(values, error), error.status
    flash(f"Order {order['number']} is accepted. You can close this page: it goes on without you.", "good")
    return redirect(url_for("orders.one", order_id=order["id"]), 303)


@pages.post("/orders/<order_id>/<any(cancel, retry, requeue, shipment, hold, release, priority):intent>")
def ask(order_id: str, intent: str) -> Response:
    """Asks for a cancel, another try or a place in the queue, or says that the cards were shipped."""
    given = {name: request.form.get(name, "").strip() for name in ("tracking", "why", "priority")}
    try:
        api().post("orders", order_id, intent, body={name: text for name, text in given.items() if text})
    except Conflict as error:
        flash(f"{error.sentence} {error.hint}", "bad")  # it moved on while the page was read
    return redirect(url_for("orders.one", order_id=order_id), 303)


@pages.post("/orders/<order_id>/download")
def download(order_id: str) -> str:
    """A token for the image's download, shown once."""
    return render_template(
        "download.html", order_id=order_id, download=api().post("orders", order_id, "download-tokens")
    )


@pages.get("/orders/<order_id>/image/<any('portal.png', 'contents.cdx.json'):shown>")
def image(order_id: str, shown: str) -> Response:
    """A file beside the order's image: the picture of its portal page, the list of what is in it."""
    token = api().post("orders", order_id, "download-tokens")
    body, kind = image_file(token, shown, current_app.config["CA_FILE"])
    return Response(body, content_type=kind, headers={"Cache-Control": "private, max-age=3600"})


@pages.get("/tasks/<task_id>/log")
def task_log(task_id: str) -> str:
    """What the task's worker told, attempt by attempt."""
    text = request.args.get("text", "").strip()
    return render_template(
        "task_log.html",
        task=api().get("tasks", task_id),
        log=api().get("tasks", task_id, "log", text=text),
        text=text,
    )


def _form(values: dict[str, str], error: CardshopError | None) -> str:
    return render_template(
        "order_new.html",
        values=values,
        error=error,
        recipes=api().get_all("recipes"),
        media=api().get_all("media"),
        mail_languages=MAIL_LANGUAGES,
    )


def _new_key() -> str:
    return secrets.token_urlsafe(16)


def _body(values: dict[str, str]) -> dict[str, Any]:
    """The form as the API wants it; a wrong number is passed on, so that the API says what is wrong."""
    recipient = {
        name: values[f"recipient.{name}"]
        for name in ("name", "email", "address", "language")
        if name == "name" or values[f"recipient.{name}"]
    }
    body: dict[str, Any] = {
        "recipe_id": values["recipe_id"],
        "quantity": number(values["quantity"]),
        "recipient": recipient,
    }
    if values["medium"]:
        body["medium"] = values["medium"]
    return body
