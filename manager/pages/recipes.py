"""Recipes: the list, and the form that makes and changes one."""

from __future__ import annotations

import base64
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError
from cardshop.languages import LANGUAGES
from manager.branding import COLOURS, branding_sent, branding_values
from manager.pages import offspot
from manager.pages.catalogue import picked, search
from manager.visitor import api

pages = Blueprint("recipes", __name__)

TEXTS = ("name", "hostname", "domain", "ssid", "language", "timezone", "base", "size")
"""Fields that go to the API as they are."""

NEW = {
    "hostname": "kiwix",
    "domain": "hotspot",
    "ssid": "Kiwix Hotspot",
    "language": "en",
    "timezone": "UTC",
    "size": "auto",
    "wifi": "open",
    **COLOURS,
}
"""What the form of a new recipe shows."""


@pages.get("/recipes")
def listing() -> str:
    """All recipes that the user may see."""
    return render_template("recipes.html", recipes=api().get_all("recipes"))


@pages.route("/recipes/new", methods=["GET", "POST"])
def new() -> str | Response | tuple[str, int]:
    """The form of a new recipe."""
    if request.method == "GET":
        return _form(None, dict(NEW), [], None)
    return _save(None)


@pages.route("/recipes/<recipe_id>", methods=["GET", "POST"])
def edit(recipe_id: str) -> str | Response | tuple[str, int]:
    """The form of a recipe that exists."""
    recipe = api().get("recipes", recipe_id)
    if recipe["offspot"]:
        return offspot.show(recipe)
    if request.method == "GET":
        return _form(recipe, _values(recipe), recipe["contents"], None)
    return _save(recipe)


@pages.post("/recipes/<recipe_id>/delete")
def delete(recipe_id: str) -> Response:
    """Removes a recipe; its orders stay."""
    api().delete("recipes", recipe_id)
    flash("The recipe is deleted. Orders placed with it are not touched.", "info")
    return redirect(url_for("recipes.listing"), 303)


@pages.get("/recipes/pictures/<sha256>")
def picture(sha256: str) -> Response:
    """A picture of a recipe's branding, always a PNG; it is named by its bytes and so never changes."""
    png = base64.b64decode(api().get("pictures", sha256)["data"])
    return Response(png, content_type="image/png", headers={"Cache-Control": "private, max-age=31536000"})


@pages.get("/recipes/fit")
def fit() -> dict[str, str]:
    """Whether what is picked fits on the card, for the form's script."""
    told = _fit(request.args.getlist("contents"), request.args.get("size", ""), request.args.get("base", ""))
    return {"html": render_template("parts/fit.html", fit=told)}


def _save(recipe: dict[str, Any] | None) -> str | Response | tuple[str, int]:
    sent = request.form
    values = {
        name: sent.get(name, "").strip()
        for name in (*TEXTS, "wifi", "admin", "admin_login", "own_colours", *COLOURS, "q", "lang")
    }
    contents = list(dict.fromkeys(sent.getlist("contents")))
    if sent.get("do") == "search":  # without our script the search is a way of sending the form
        return _form(recipe, values, contents, None, searched=True)
    body = {
        **{name: values[name] for name in TEXTS},
        "contents": contents,
        "branding": branding_sent(sent, request.files, recipe),
        **_secrets(sent, recipe),
    }
    try:
        saved = api().put("recipes", recipe["id"], body=body) if recipe else api().post("recipes", body=body)
    except CardshopError as error:
        return _form(recipe, values, contents, error), error.status
    flash(f"The recipe {saved['name']} is saved.", "good")
    return redirect(url_for("recipes.edit", recipe_id=saved["id"]), 303)


def _secrets(sent: MultiDict[str, str], recipe: dict[str, Any] | None) -> dict[str, Any]:
    """The fields that are written and never shown; one that is left out keeps what the recipe has."""
    fields: dict[str, Any] = {}
    key = sent.get("wifi_password", "")
    if sent.get("wifi") != "protected":
        fields["wifi_password"] = None
    elif key or not (recipe and recipe.get("wifi_protected")):
        fields["wifi_password"] = key
    password = sent.get("admin_password", "")
    if not sent.get("admin"):
        fields["admin_account"] = None
    else:
        account = {"login": sent.get("admin_login", "").strip()}
        keeps = recipe and recipe.get("admin_account") and not password
        fields["admin_account"] = account if keeps else {**account, "password": password}
    return fields


def _values(recipe: dict[str, Any]) -> dict[str, str]:
    account = recipe.get("admin_account") or {}
    return {
        **{name: str(recipe[name]) for name in TEXTS},
        "wifi": "protected" if recipe.get("wifi_protected") else "open",
        "admin": "yes" if account else "",
        "admin_login": account.get("login", ""),
        **branding_values(recipe),
    }


def _form(
    recipe: dict[str, Any] | None,
    values: dict[str, str],
    contents: list[str],
    error: CardshopError | None,
    *,
    searched: bool = False,
) -> str:
    bases = [base for base in api().get_all("bases") if base["system"] != offspot.SYSTEM]
    return render_template(
        "recipe.html",
        recipe=recipe,
        values=values,
        picked=picked(contents),
        chosen=set(contents),
        found=search(values.get("q", ""), values.get("lang", "")),
        searched=searched,
        fit=_fit(contents, values.get("size", ""), values.get("base", "") or _first(bases)),
        error=error,
        media=api().get_all("media"),
        bases=bases,
        languages=LANGUAGES,
        timezones=sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"),
    )


def _first(bases: list[dict[str, Any]]) -> str:
    """The base that the form of a new recipe shows."""
    return str(bases[0]["name"]) if bases else ""


def _fit(contents: list[str], size: str, base: str) -> dict[str, Any] | None:
    """What the scheduler says of the size; contents that can't be summed say why."""
    if not contents:
        return None
    try:
        fit: dict[str, Any] = api().post(
            "recipes", "fit", body={"contents": contents, "size": size, "base": base}
        )
    except CardshopError as error:
        return {"problem": error}
    return fit
