"""ZIM files of the organisation's own: which are on the shelf, how more come there, and their deletion."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
from cardshop.transfer.shelving import ShelvedFile
from manager.shelf_files import delete_shelved, shelved_files
from manager.visitor import api

pages = Blueprint("catalogue_shelf", __name__)


@pages.get("/catalogue/own")
def listing() -> str:
    """What is on the shelf."""
    files: list[ShelvedFile] = []
    error: CardshopError | None = None
    token = api().post("shelf-tokens")
    try:
        files = shelved_files(token, current_app.config["CA_FILE"])
    except CardshopError as raised:
        error = raised
    return render_template("shelf.html", files=files, error=error)


@pages.get("/catalogue/own/deletion")
def asking() -> str:
    """What would miss the file, before it is deleted."""
    file = request.args.get("file", "")
    return render_template("shelf_deletion.html", file=file, uses=api().get("shelf-uses", file=file))


@pages.post("/catalogue/own/deletion")
def delete() -> Response:
    """Deletes a file."""
    file = request.form.get("file", "")
    try:
        delete_shelved(api().post("shelf-tokens"), current_app.config["CA_FILE"], file)
    except CardshopError as error:
        flash(f"{error.sentence} {error.hint}", "bad")
    else:
        flash(f"{file} is deleted.", "good")
    return redirect(url_for("catalogue_shelf.listing"), 303)
