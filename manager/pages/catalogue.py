"""The catalogue: what can go on a card; looked through on its own page and in the recipe's form."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from cardshop.contract.errors import CardshopError
from cardshop.languages import LANGUAGES
from manager import illustrations
from manager.numbers import number
from manager.visitor import api

pages = Blueprint("catalogue", __name__)

PICTURE_SECONDS = 86400
"""How long a browser keeps a picture."""


def search(words: str, language: str, page: str = "1") -> dict[str, Any]:
    """One page of entries, each with the ``ticket`` of its picture; and ``total``."""
    answer: dict[str, Any] = api().get("catalogue", "entries", q=words, lang=language, page=page)
    with_tickets(answer["items"])
    return answer


def picked(idents: list[str]) -> list[dict[str, Any]]:
    """The entries of ``idents``, in that order; one that no catalogue lists says so itself."""
    entries = []
    for ident in idents:
        found = [entry for entry in api().get_all("catalogue", "entries", q=ident) if entry["ident"] == ident]
        gone = {
            "ident": ident,
            "title": ident,
            "size_bytes": 0,
            "problem": "No catalogue lists it any more. Remove it, or refresh the catalogue.",
        }
        entries.append(
            next((entry for entry in found if not entry.get("problem")), found[0] if found else gone)
        )
    with_tickets(entries)
    return entries


def with_tickets(entries: list[dict[str, Any]]) -> None:
    """Adds to each entry the ``ticket`` of its picture, or ``None``."""
    feeds = (
        {catalogue["name"]: catalogue["url"] for catalogue in api().get_all("catalogues")} if entries else {}
    )
    for entry in entries:
        entry["ticket"] = illustrations.ticket(
            current_app.config["SECRET_KEY"],
            entry.get("illustration_url"),
            feeds.get(entry.get("catalogue")),
        )


@pages.get("/catalogue")
def listing() -> str:
    """The catalogues, and what they list."""
    words, language, page = (request.args.get(name, "") for name in ("q", "lang", "page"))
    asked = number(page)
    shown = asked if isinstance(asked, int) and asked > 0 else 1
    return render_template(
        "catalogue.html",
        catalogues=api().get_all("catalogues"),
        found=search(words, language, str(shown)),
        q=words,
        lang=language,
        page=shown,
        languages=LANGUAGES,
        error=None,
    )


@pages.get("/catalogue/results")
def results() -> dict[str, Any]:
    """What a search finds, for the recipe form's script."""
    found = search(request.args.get("q", ""), request.args.get("lang", ""))
    chosen = set(request.args.getlist("contents"))
    return {"html": render_template("parts/results.html", found=found, chosen=chosen)}


@pages.get("/catalogue/pictures/<shown_ticket>")
def picture(shown_ticket: str) -> Response | Redirect:
    """An entry's picture, or a plain one when its server gives none."""
    try:
        image, kind = illustrations.picture(current_app.config["SECRET_KEY"], shown_ticket)
    except CardshopError:
        return redirect(url_for("static", filename="content.svg"))
    caching = {"Cache-Control": f"private, max-age={PICTURE_SECONDS}"}
    return Response(image, content_type=kind, headers=caching)


@pages.post("/catalogue/refresh/<name>")
def refresh(name: str) -> Redirect:
    """Reads a catalogue's feed anew."""
    return _told(lambda: api().post("catalogues", name, "refreshes"), f"The catalogue {name} was read anew.")


@pages.post("/catalogue/add")
def add() -> Redirect:
    """Registers a catalogue and reads it."""
    name, url = (request.form.get(field, "").strip() for field in ("name", "url"))

    def add_and_read() -> None:
        api().post("catalogues", body={"name": name, "url": url})
        api().post("catalogues", name, "refreshes")

    return _told(add_and_read, f"The catalogue {name} is here.")


def _told(act: Any, success: str) -> Redirect:
    try:
        act()
    except CardshopError as error:
        flash(f"{error.sentence} {error.hint}", "bad")
    else:
        flash(success, "good")
    return redirect(url_for("catalogue.listing"), 303)
