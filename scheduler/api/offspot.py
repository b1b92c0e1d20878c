"""Recipes as Offspot's image YAML: what its users have becomes a recipe here, and a recipe of ours a file."""

from __future__ import annotations

import uuid

from pydantic import Field

from cardshop.contract.errors import InvalidInput
from scheduler.api.operations import Resource, operation
from scheduler.api.recipes import ToldRecipe, kept_recipe
from scheduler.api.schemas import Given, Name, Told
from scheduler.domain import recipes as rules
from scheduler.domain.offspot import LARGEST_DOCUMENT_BYTES
from scheduler.domain.rights import Right
from scheduler.shop import offspot as shop
from scheduler.shop.accounts import Caller
from scheduler.shop.recipes import check_against_shop, resolve


class GivenOffspot(Given):
    """An Offspot image YAML that becomes a recipe."""

    name: Name
    yaml: str = Field(max_length=LARGEST_DOCUMENT_BYTES, description="the file's text")
    base: str | None = Field(
        default=None, description="the shop's Offspot base image; without it, the one that base.source names"
    )


class ToldOffspot(Told):
    """A recipe as an Offspot image YAML."""

    yaml: str  # secrets hidden


class OffspotRecipeList(Resource):
    """``/v1/recipes/offspot``."""

    @operation(
        "Keep an Offspot image YAML as a recipe",
        Right.EDIT_RECIPES,
        body=GivenOffspot,
        answer=ToldRecipe,
        status=201,
    )
    def post(self, caller: Caller, body: GivenOffspot) -> ToldRecipe:
        """The recipe; what can't be taken is told with the field as the YAML names it."""
        services = self.services
        recipe = shop.imported(services.store, body.yaml, name=body.name, base=body.base)
        try:
            rules.check(recipe, services.vocabulary)
        except InvalidInput as error:
            raise shop.named_as_given(error) from None
        check_against_shop(services.store, recipe)
        sealed = recipe.with_secrets(services.seal.seal)
        return ToldRecipe.of(services.store.recipes.add(str(uuid.uuid4()), caller.username, sealed))


class OffspotRecipeItem(Resource):
    """``/v1/recipes/{recipe_id}/offspot``."""

    @operation("Show a recipe as an Offspot image YAML", Right.EDIT_RECIPES, answer=ToldOffspot)
    def get(self, caller: Caller, recipe_id: str) -> ToldOffspot:
        """The file's text: contents with addresses, sizes and checksums of now. Secrets are hidden."""
        services = self.services
        recipe = kept_recipe(services, recipe_id, caller).recipe
        if recipe.offspot is not None:
            return ToldOffspot(yaml=shop.exported(recipe, None, services.seal.open(recipe.offspot.document)))
        return ToldOffspot(yaml=shop.exported(recipe, resolve(services.store, services.web, recipe), None))
