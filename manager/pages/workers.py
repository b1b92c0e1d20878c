"""What makes the cards: workers and their slots, images in the warehouse, kinds of cards."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from manager.image_files import image_file
from manager.visitor import api

pages = Blueprint("workers", __name__)


@pages.get("/workers")
def listing() -> str:
    """All workers, with their slots."""
    return render_template("workers.html", workers=api().get_all("workers"))


@pages.get("/workers/live")
def listing_live() -> dict[str, Any]:
    """The page's live part, for the script."""
    html = render_template("parts/workers.html", workers=api().get_all("workers"))
    return {"html": html, "final": False, "title": ""}


@pages.post("/workers/<username>/<any(drain, resume):intent>")
def ask(username: str, intent: str) -> Response:
    """Asks for a worker to take no new work, or to take it again."""
    why = request.form.get("why", "").strip()
    api().post("workers", username, intent, body={"why": why} if why else {})
    return redirect(url_for("workers.listing"), 303)


@pages.get("/images")
def images() -> str:
    """Images that were built."""
    return render_template("images.html", images=api().get_all("images"))


@pages.get("/media")
def media() -> str:
    """Kinds of cards, with their true sizes."""
    return render_template("media.html", media=api().get_all("media"))


@pages.get("/images/<digest>/<any('portal.png', 'contents.cdx.json'):shown>")
def image(digest: str, shown: str) -> Response:
    """A file beside an image: the picture of its portal page, the list of what is in it."""
    token = api().post("images", digest, "download-tokens")
    body, kind = image_file(token, shown, current_app.config["CA_FILE"])
    return Response(body, content_type=kind, headers={"Cache-Control": "private, max-age=3600"})
