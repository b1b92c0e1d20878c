"""Labels of verified cards: pages to print, each label with its card's signed passport as a QR code."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template

from cardshop.contract.errors import NotFound
from cardshop.contract.passports import Signed
from manager.pages.slips import qr_code
from manager.visitor import api

pages = Blueprint("labels", __name__)


@pages.get("/orders/<order_id>/labels")
def every(order_id: str) -> str:
    """The labels of all verified cards of an order."""
    return _page(order_id, _passports(order_id))


@pages.get("/orders/<order_id>/labels/<int:unit>")
def one(order_id: str, unit: int) -> str:
    """The label of one card."""
    found = [passport for passport in _passports(order_id) if passport["unit"] == unit]
    if not found:
        raise NotFound("This card has no label.", hint="A card has one once it is verified.")
    return _page(order_id, found)


def _passports(order_id: str) -> list[dict[str, Any]]:
    passports: list[dict[str, Any]] = api().get("orders", order_id, "passports")["items"]
    return passports


def _page(order_id: str, passports: list[dict[str, Any]]) -> str:
    # The very text that `cardshop label` reads: a phone that scans it needs nothing else to pass it on.
    labels = [
        (passport, qr_code(Signed(**passport["signed"]).to_text(), error="m")) for passport in passports
    ]
    order = api().get("orders", order_id)
    return render_template("labels.html", order=order, labels=labels)
