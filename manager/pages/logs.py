"""What the workers told of their tasks, searched by words."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from manager.visitor import api

pages = Blueprint("logs", __name__)


@pages.get("/logs")
def search() -> str:
    """Lines with these words, in the logs of all tasks."""
    text = request.args.get("text", "").strip()
    parts = api().get_all("task-logs", text=text) if text else None
    return render_template("logs.html", text=text, parts=parts)
