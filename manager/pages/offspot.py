"""Recipes as Offspot's image YAML: one is imported from a file, each can be had as one."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError, InvalidInput
from manager.visitor import api

pages = Blueprint("offspot", __name__)

SYSTEM = "offspot"
"""What a base image says that such recipes are built on."""


@pages.route("/recipes/import", methods=["GET", "POST"])
def importing() -> str | Response | tuple[str, int]:
    """The form that takes a file in."""
    if request.method == "GET":
        return _form({}, None)
    values = {name: request.form.get(name, "").strip() for name in ("name", "base")}
    try:
        saved = api().post("recipes", "offspot", body=_body(values))
    except CardshopError as error:
        return _form(values, error), error.status
    flash(f"The recipe {saved['name']} is saved.", "good")
    return redirect(url_for("recipes.edit", recipe_id=saved["id"]), 303)


@pages.get("/recipes/<recipe_id>/offspot.yaml")
def export(recipe_id: str) -> Response:
    """The recipe as a file."""
    answer = Response(yaml_of(recipe_id), content_type="application/yaml; charset=utf-8")
    answer.headers["Content-Disposition"] = "attachment; filename=offspot.yaml"
    return answer


def yaml_of(recipe_id: str) -> str:
    """The recipe's YAML, its secrets hidden."""
    return str(api().get("recipes", recipe_id, "offspot")["yaml"])


def show(recipe: dict[str, Any]) -> str:
    """The page of a recipe that came as a YAML."""
    return render_template("recipe_offspot.html", recipe=recipe, yaml=yaml_of(recipe["id"]))


def _body(values: dict[str, str]) -> dict[str, str]:
    file = request.files.get("file")
    if file is None or not file.filename:
        raise InvalidInput("Choose the file.", field="yaml")
    try:
        text = file.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("The file is no UTF-8 text.", field="yaml") from error
    body = {"name": values["name"] or PurePath(file.filename).stem, "yaml": text}
    return {**body, "base": values["base"]} if values["base"] else body


def _form(values: dict[str, str], error: CardshopError | None) -> str:
    bases = [base for base in api().get_all("bases") if base["system"] == SYSTEM]
    return render_template("recipe_import.html", values=values, error=error, bases=bases)
