"""Labels of verified cards: pages to print, each label with its card's signed passport as a QR code."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from markupsafe import Markup
from segno.encoder import DataOverflowError

from cardshop.contract.errors import NotFound
from cardshop.contract.passports import Signed
from manager.pages.slips import qr_code
from manager.visitor import api

pages = Blueprint("labels", __name__)


PER_PAGE = 24
"""Labels of a page: it takes some hundredths of a second to draw each code."""

MOST_CARDS = "1000"
"""Of an order, as the API has it."""


@pages.get("/orders/<order_id>/labels")
def every(order_id: str) -> str:
    """The labels of an order's verified cards."""
    page = max(1, request.args.get("page", 1, type=int))
    found = api().get("orders", order_id, "passports", page=str(page), per_page=str(PER_PAGE))
    return _page(order_id, found["items"], page=page, total=found["total"])


@pages.get("/orders/<order_id>/labels/<int:unit>")
def one(order_id: str, unit: int) -> str:
    """The label of one card."""
    passports = api().get_all("orders", order_id, "passports", per_page=MOST_CARDS)
    found = [passport for passport in passports if passport["unit"] == unit]
    if not found:
        raise NotFound("This card has no label.", hint="A card has one once it is verified.")
    return _page(order_id, found, page=1, total=1)


def _page(order_id: str, passports: list[dict[str, Any]], *, page: int, total: int) -> str:
    # The very text that `cardshop label` reads: a phone that scans it needs nothing else to pass it on.
    labels = [(each, _code(each)) for each in passports]
    order = api().get("orders", order_id)
    return render_template(
        "labels.html", order=order, labels=labels, page=page, per_page=PER_PAGE, total=total
    )


def _code(passport: dict[str, Any]) -> Markup:
    """Empty for a passport that no code can hold: its worker told very long names."""
    try:
        return qr_code(Signed(**passport["signed"]).to_text(), error="m")
    except DataOverflowError:
        return Markup()
