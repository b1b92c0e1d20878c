"""The order slip: a page to print and put into the parcel, with a QR code of the order's address."""

from __future__ import annotations

import segno
from flask import Blueprint, current_app, render_template, request, url_for
from markupsafe import Markup

from manager.order_view import view
from manager.visitor import api

pages = Blueprint("slips", __name__)

QUIET_MODULES = 4
"""Empty border of a QR code, as ISO/IEC 18004 asks for."""


@pages.get("/orders/<order_id>/slip")
def slip(order_id: str) -> str:
    """The slip of an order."""
    address = pages_url() + url_for("orders.one", order_id=order_id)
    shown = view(api().get("orders", order_id))
    return render_template("slip.html", view=shown, address=address, code=qr_code(address))


def pages_url() -> str:
    """The address of these pages as people open them: by the settings, else as this one was opened."""
    return str(current_app.config["PAGES_URL"] or request.host_url).rstrip("/")


def qr_code(text: str, error: str = "q") -> Markup:
    """The text as a QR code, SVG to stand in a page.

    Args:
        text: what the code says.
        error: how much of it may be unreadable: ``q`` a quarter, ``m`` 15 %, which makes it smaller.
    """
    code = segno.make_qr(text, error=error)
    # Nothing of the text is in the markup: it draws the code's modules as one path.
    return Markup(code.svg_inline(omitsize=True, border=QUIET_MODULES, svgclass="qr"))  # noqa: S704
