"""Recipes that people keep; their secrets are sealed before they come here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pymongo import ASCENDING

from cardshop.contract import wire
from cardshop.contract.errors import NotFound
from scheduler.domain.recipes import Recipe
from scheduler.store.database import Clock, Database, Document


@dataclass(frozen=True)
class KeptRecipe:
    """A recipe under its id."""

    id: str
    owner: str
    recipe: Recipe  # secrets sealed
    created_at: datetime
    updated_at: datetime


class Recipes:
    """The collection ``recipes``."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._recipes = database["recipes"]
        self._clock = clock

    def prepare(self) -> None:
        """Index for the look-ups by owner."""
        self._recipes.create_index([("owner", ASCENDING)])

    def add(self, recipe_id: str, owner: str, recipe: Recipe) -> KeptRecipe:
        """Keeps a new recipe."""
        now = self._clock()
        self._recipes.insert_one(
            {
                "_id": recipe_id,
                "owner": owner,
                "recipe": wire.to_wire(recipe),
                "created_at": now,
                "updated_at": now,
            }
        )
        return KeptRecipe(recipe_id, owner, recipe, now, now)

    def get(self, recipe_id: str, *, owner: str | None) -> KeptRecipe:
        """The recipe, if ``owner`` (None: anybody) has it. Raises NotFound."""
        document = self._recipes.find_one({"_id": recipe_id, **_of(owner)})
        if document is None:
            raise _missing(recipe_id)
        return _kept(document)

    def page(self, *, owner: str | None, q: str, skip: int, limit: int) -> tuple[list[KeptRecipe], int]:
        """Recipes by name, and how many there are; ``q`` is a part of the name."""
        which = _of(owner)
        if q:
            which["recipe.name"] = {"$regex": re.escape(q), "$options": "i"}
        found = self._recipes.find(which).sort([("recipe.name", ASCENDING), ("_id", ASCENDING)])
        return [_kept(document) for document in found.skip(skip).limit(limit)], self._count(which)

    def with_contents(self, idents: Iterable[str]) -> list[KeptRecipe]:
        """The recipes, by name, that name one of these contents."""
        found = self._recipes.find({"recipe.contents": {"$in": list(idents)}})
        return [_kept(document) for document in found.sort([("recipe.name", ASCENDING), ("_id", ASCENDING)])]

    def pictures(self) -> set[str]:
        """Names of the pictures that recipes' branding has."""
        fields = ("recipe.branding.logo", "recipe.branding.favicon")
        return {name for field in fields for name in self._recipes.distinct(field) if name}

    def replace(self, recipe_id: str, recipe: Recipe) -> None:
        """Changes a recipe. Raises NotFound."""
        change = {"recipe": wire.to_wire(recipe), "updated_at": self._clock()}
        if not self._recipes.update_one({"_id": recipe_id}, {"$set": change}).matched_count:
            raise _missing(recipe_id)

    def remove(self, recipe_id: str) -> None:
        """Removes a recipe; orders that were placed with it keep their copy. Raises NotFound."""
        if not self._recipes.delete_one({"_id": recipe_id}).deleted_count:
            raise _missing(recipe_id)

    def _count(self, which: Document) -> int:
        return self._recipes.count_documents(which)


def _of(owner: str | None) -> Document:
    return {} if owner is None else {"owner": owner}


def _missing(recipe_id: str) -> NotFound:
    return NotFound(f"There is no recipe {recipe_id}.")


def _kept(document: Document) -> KeptRecipe:
    return KeptRecipe(
        id=document["_id"],
        owner=document["owner"],
        recipe=wire.from_wire(Recipe, document["recipe"]),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
    )
