"""The part of a recipe's form that says how the card's portal looks."""

from __future__ import annotations

import base64
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

PICTURES = ("logo", "favicon")
COLOURS = {"main_colour": "#1f5f8b", "background_colour": "#ffffff"}
"""What the form shows before a person has chosen: the portal's own."""


def branding_values(recipe: dict[str, Any]) -> dict[str, str]:
    """What the form shows of a recipe's colours; its pictures are shown from the recipe itself."""
    branding = recipe.get("branding") or {}
    chosen = {name: branding[name] for name in COLOURS if branding.get(name)}
    return {**COLOURS, **chosen, "own_colours": "yes" if chosen else ""}


def branding_sent(
    sent: MultiDict[str, str], files: MultiDict[str, FileStorage], recipe: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The branding for the API. A picture that is neither sent nor taken away stays the recipe's."""
    kept = (recipe or {}).get("branding") or {}
    branding: dict[str, Any] = {}
    for name in PICTURES:
        file = files.get(name)
        data = file.read() if file else b""
        if data:
            branding[name] = {"data": base64.b64encode(data).decode()}
        elif kept.get(name) and not sent.get(f"drop_{name}"):
            branding[name] = {"sha256": kept[name]["sha256"]}
    if sent.get("own_colours"):
        branding |= {name: sent.get(name, "").strip() for name in COLOURS}
    return branding or None
