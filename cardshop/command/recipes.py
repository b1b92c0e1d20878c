"""``cardshop recipes …``: list them, and take them in and out as Offspot's image YAML."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cardshop.command.desk import Desk, Subparsers, noun, verb
from cardshop.contract.errors import InvalidInput, NotFound


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    verbs = noun(subparsers, "recipes", "list recipes; take them in and out as Offspot's image YAML")
    verb(verbs, "list", list_recipes, "list recipes, by name")
    taking = verb(verbs, "import", import_recipe, "keep an Offspot image YAML as a recipe")
    taking.add_argument("file", type=Path, metavar="FILE", help="the YAML, as image-creator reads it")
    taking.add_argument("--name", help="the recipe's name (default: the file's)")
    taking.add_argument(
        "--base", help="the shop's Offspot base image (default: the one that base.source names)"
    )
    giving = verb(
        verbs, "export", export_recipe, "print a recipe as an Offspot image YAML, without its secrets"
    )
    giving.add_argument("recipe", metavar="RECIPE", help="its id, or its name")


def list_recipes(desk: Desk, _arguments: argparse.Namespace) -> None:
    """Lists recipes."""
    found = list(desk.session.every("/v1/recipes"))
    rows = [
        (recipe["id"], recipe["name"], recipe["size"], recipe["base"], "yes" if recipe["offspot"] else "")
        for recipe in found
    ]
    desk.output.table(("RECIPE", "NAME", "SIZE", "BASE", "OFFSPOT YAML"), rows, found)


def import_recipe(desk: Desk, arguments: argparse.Namespace) -> None:
    """Keeps an Offspot YAML as a recipe."""
    try:
        text = arguments.file.read_text()
    except OSError as error:
        raise InvalidInput(f"It can't be read: {error.strerror}.", field="FILE") from None
    except UnicodeError:
        raise InvalidInput("It is no UTF-8 text.", field="FILE") from None
    body = {"name": arguments.name or arguments.file.stem, "yaml": text}
    if arguments.base:
        body["base"] = arguments.base
    recipe = desk.session.post("/v1/recipes/offspot", body)
    desk.output.sentence(f"The recipe {recipe['name']} is kept: {recipe['id']}", recipe)


def export_recipe(desk: Desk, arguments: argparse.Namespace) -> None:
    """Prints a recipe as an Offspot YAML."""
    told = desk.session.get(f"/v1/recipes/{find_recipe(desk, arguments.recipe)}/offspot")
    if arguments.json:
        desk.output.sentence("", told)
    else:
        sys.stdout.write(told["yaml"])


def find_recipe(desk: Desk, name: str) -> str:
    """The id of the recipe with that id or name.

    Raises:
        NotFound, InvalidInput: there is none, or several have the name.
    """
    recipes: list[dict[str, Any]] = list(desk.session.every("/v1/recipes"))
    ids = [str(recipe["id"]) for recipe in recipes if name in (recipe["id"], recipe["name"])]
    if not ids:
        raise NotFound(f"There is no recipe {name}.", field="--recipe")
    if len(ids) > 1:
        raise InvalidInput(
            f"{len(ids)} recipes have that name.",
            hint="Give one by its id: " + ", ".join(ids),
            field="--recipe",
        )
    return ids[0]
