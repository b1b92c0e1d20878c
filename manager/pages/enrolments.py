"""For technicians: a one-time code that gives a host of writers its accounts."""

from __future__ import annotations

import hashlib
import ssl

from flask import Blueprint, current_app, render_template, request, send_file
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
from manager.numbers import number
from manager.visitor import api

pages = Blueprint("enrolments", __name__)

DEFAULT_WRITERS = "4"


@pages.route("/enrolments", methods=["GET", "POST"])
def listing() -> str | tuple[str, int]:
    """The form, the codes that were given out, and a new one, shown in the one answer that knows it."""
    if request.method == "GET":
        return _page({"writers": DEFAULT_WRITERS})
    values = {name: request.form.get(name, "").strip() for name in ("host", "writers")}
    try:
        made = api().post("enrolments", body={"host": values["host"], "writers": number(values["writers"])})
    except CardshopError as error:
        return _page(values, error=error), error.status
    return _page({"writers": DEFAULT_WRITERS}, made=made)


@pages.get("/enrolments/authority.pem")
def authority() -> Response:
    """The certificate of Cardshop's private authority: what the host's configuration calls ``ca_file``."""
    return send_file(
        current_app.config["CA_FILE"],
        mimetype="application/x-pem-file",
        as_attachment=True,
        download_name="cardshop-ca.pem",
    )


def _page(
    values: dict[str, str], *, error: CardshopError | None = None, made: dict[str, str] | None = None
) -> str:
    return render_template(
        "enrolments.html",
        enrolments=api().get_all("enrolments"),
        values=values,
        error=error,
        made=made,
        fingerprint=_fingerprint(),
    )


def _fingerprint() -> str:
    certificate = ssl.PEM_cert_to_DER_cert(current_app.config["CA_FILE"].read_text().strip())
    return hashlib.sha256(certificate).hexdigest()
