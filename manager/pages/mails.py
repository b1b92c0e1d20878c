"""Mails: what was sent to whom, and the decision on what nobody can know."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
from manager.visitor import api

pages = Blueprint("mails", __name__)

STATES = ("waiting", "handing-over", "sent", "failed", "uncertain", "dismissed")
PER_PAGE = 50

DONE = {
    "resend": "The mail is on its way again.",
    "dismissal": "The mail stays unsent.",
}


@pages.get("/mails")
def listing() -> str:
    """The mails, newest first; those of one state or one order."""
    state, order = request.args.get("state", ""), request.args.get("order", "")
    page = max(1, request.args.get("page", 1, type=int))
    found = api().get("mails", state=state, order_id=order, page=str(page), per_page=str(PER_PAGE))
    return render_template(
        "mails.html",
        mails=found["items"],
        total=found["total"],
        sending=found["sending"],
        state=state,
        states=STATES,
        order=order,
        page=page,
        per_page=PER_PAGE,
    )


@pages.get("/mails/<mail_id>")
def one(mail_id: str) -> str:
    """One mail as its reader gets it."""
    return render_template("mail.html", mail=api().get("mails", mail_id))


@pages.post("/mails/<mail_id>/<any(resend, dismissal):intent>")
def decide(mail_id: str, intent: str) -> Response:
    """Sends a mail again, or leaves it unsent for good."""
    try:
        api().post("mails", mail_id, intent)
    except CardshopError as error:
        flash(f"{error.sentence} {error.hint}", "bad")
    else:
        flash(DONE[intent], "good")
    return redirect(url_for("mails.one", mail_id=mail_id), 303)
