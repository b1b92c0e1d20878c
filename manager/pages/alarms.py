"""Alarms: the page with all of them, and those that are open, at the head of every page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template

from cardshop.contract.errors import CardshopError
from manager.visitor import api

pages = Blueprint("alarms", __name__)

TOLD = {"admin", "operator", "technician"}
"""Roles that alarms are shown to."""

MOST_AT_THE_HEAD = 3
"""Alarms at the head of each page; the rest stands on their own page."""


@pages.get("/alarms")
def listing() -> str:
    """All alarms, newest first."""
    g.alarms_are_the_page = True
    return render_template("alarms.html", alarms=api().get_all("alarms", per_page="200"))


def open_alarms() -> list[dict[str, Any]]:
    """The newest open alarms, for whom they concern; none when they can't be had: the page matters more."""
    user = g.get("api")
    if user is None or user.role not in TOLD or g.get("alarms_are_the_page"):
        return []
    try:
        return user.get_all("alarms", open="true", per_page=str(MOST_AT_THE_HEAD))  # type: ignore[no-any-return]
    except CardshopError:
        return []
