"""Recipes: kept, changed, fitted. Their secrets go in and never come out."""

from __future__ import annotations

import uuid

from pydantic import Field

from cardshop.contract.errors import InvalidInput
from scheduler.api.branding import GivenBranding, ToldBranding, kept_branding
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Moment, Paged, Told
from scheduler.api.services import Services
from scheduler.domain import recipes as rules
from scheduler.domain.branding import Branding
from scheduler.domain.rights import Right, sees_all
from scheduler.shop import recipes as shop
from scheduler.shop.accounts import Caller
from scheduler.store.recipes import KeptRecipe

MOST_CONTENTS = 1000
DEFAULT_BASE = "cardshop-arm64"

Contents = Field(max_length=MOST_CONTENTS, examples=[["openZIM:wikipedia_en:mini"]])


class GivenAdminAccount(Given):
    """The account that administers the card; without a password, the one kept before stays."""

    login: str
    password: str | None = None


class GivenRecipe(Given):
    """A recipe as a person writes it. When it is changed, a secret or branding that is absent stays."""

    name: str
    hostname: str = "kiwix"
    domain: str = "hotspot"
    ssid: str = "Kiwix Hotspot"
    wifi_password: str | None = Field(default=None, description="null: an open network")
    language: str = "en"
    timezone: str = "UTC"
    admin_account: GivenAdminAccount | None = None
    base: str = DEFAULT_BASE
    contents: list[str] = Contents
    size: str = Field(default=rules.AUTO_SIZE, description="a medium's name, or auto: the smallest that fits")
    branding: GivenBranding | None = Field(default=None, description="the portal's looks; null: as every one")


class ToldAdminAccount(Told):
    """The account that administers the card."""

    login: str


class ToldRecipe(Told):
    """A kept recipe, without its secrets."""

    id: str
    owner: str
    name: str
    hostname: str
    domain: str
    ssid: str
    wifi_protected: bool
    language: str
    timezone: str
    admin_account: ToldAdminAccount | None
    base: str
    contents: list[str]
    size: str
    branding: ToldBranding | None
    offspot: bool  # it came as an Offspot YAML, which says what goes on the card
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, kept: KeptRecipe) -> ToldRecipe:
        """What may be told of a kept recipe."""
        recipe = kept.recipe
        account = recipe.admin_account
        return cls(
            id=kept.id,
            owner=kept.owner,
            name=recipe.name,
            hostname=recipe.hostname,
            domain=recipe.domain,
            ssid=recipe.ssid,
            wifi_protected=recipe.wifi_password is not None,
            language=recipe.language,
            timezone=recipe.timezone,
            admin_account=ToldAdminAccount(login=account.login) if account else None,
            base=recipe.base,
            contents=list(recipe.contents),
            size=recipe.size,
            branding=ToldBranding.of(recipe.branding) if recipe.branding else None,
            offspot=recipe.offspot is not None,
            created_at=kept.created_at,
            updated_at=kept.updated_at,
        )


class RecipeQuery(Paged):
    """Which recipes."""

    q: str = Field(default="", max_length=100, description="a part of the name")


class FitQuestion(Given):
    """Contents to lay on a medium."""

    contents: list[str] = Contents
    base: str = DEFAULT_BASE
    size: str = rules.AUTO_SIZE


class FitRow(Told):
    """What takes how much of the image."""

    what: str
    bytes: int


class Fit(Told):
    """How contents lie on a medium."""

    medium: str
    size_bytes: int  # of the image
    rows: list[FitRow]
    free_bytes: int  # negative: by so much they are too large
    fits: bool

    @classmethod
    def of(cls, fitted: shop.Fitted) -> Fit:
        """The answer."""
        return cls(
            medium=fitted.medium.name,
            size_bytes=fitted.medium.size_bytes,
            rows=[FitRow(what=row.what, bytes=row.bytes) for row in fitted.fit.rows],
            free_bytes=fitted.fit.free_bytes,
            fits=fitted.fit.fits,
        )


def sealed_recipe(services: Services, given: GivenRecipe, before: rules.Recipe | None = None) -> rules.Recipe:
    """The recipe that was given, checked by the rules, its secrets sealed.

    Args:
        services: the shop.
        given: what came in.
        before: the recipe that it changes, sealed; gives the secrets that are absent.

    Raises:
        InvalidInput: the first rule that is broken.
    """
    opened = before.with_secrets(services.seal.open) if before else None
    recipe = rules.Recipe(
        name=given.name,
        hostname=given.hostname,
        domain=given.domain,
        ssid=given.ssid,
        wifi_password=_wifi_password(given, opened),
        language=given.language,
        timezone=given.timezone,
        admin_account=_admin_account(given, opened),
        base=given.base,
        contents=tuple(given.contents),
        size=given.size,
        branding=_branding(services, given, before),
    )
    rules.check(recipe, services.vocabulary)
    return recipe.with_secrets(services.seal.seal)


def kept_recipe(services: Services, recipe_id: str, caller: Caller) -> KeptRecipe:
    """The recipe, if the caller may see it. Raises NotFound."""
    return services.store.recipes.get(recipe_id, owner=None if sees_all(caller.role) else caller.username)


class RecipeList(Resource):
    """``/v1/recipes``."""

    @operation("List recipes", Right.EDIT_RECIPES, query=RecipeQuery, answer=Listed[ToldRecipe])
    def get(self, caller: Caller, query: RecipeQuery) -> Listed[ToldRecipe]:
        """The shop's recipes; a client's own."""
        owner = None if sees_all(caller.role) else caller.username
        kept, total = self.services.store.recipes.page(
            owner=owner, q=query.q, skip=query.skip, limit=query.per_page
        )
        return Listed[ToldRecipe](items=[ToldRecipe.of(recipe) for recipe in kept], total=total)

    @operation("Keep a new recipe", Right.EDIT_RECIPES, body=GivenRecipe, answer=ToldRecipe, status=201)
    def post(self, caller: Caller, body: GivenRecipe) -> ToldRecipe:
        """The recipe, checked and kept."""
        recipe = sealed_recipe(self.services, body)
        shop.check_against_shop(self.services.store, recipe)
        return ToldRecipe.of(self.services.store.recipes.add(str(uuid.uuid4()), caller.username, recipe))


class RecipeItem(Resource):
    """``/v1/recipes/{recipe_id}``."""

    @operation("Show a recipe", Right.EDIT_RECIPES, answer=ToldRecipe)
    def get(self, caller: Caller, recipe_id: str) -> ToldRecipe:
        """The recipe without its secrets."""
        return ToldRecipe.of(kept_recipe(self.services, recipe_id, caller))

    @operation("Change a recipe", Right.EDIT_RECIPES, body=GivenRecipe, answer=ToldRecipe)
    def put(self, caller: Caller, recipe_id: str, body: GivenRecipe) -> ToldRecipe:
        """The whole recipe anew; an absent secret or ``branding`` stays as it was."""
        before = kept_recipe(self.services, recipe_id, caller)
        if before.recipe.offspot is not None:
            raise InvalidInput(
                "This recipe is an Offspot YAML: it is not changed field by field.",
                hint="Change the file and import it anew.",
            )
        recipe = sealed_recipe(self.services, body, before.recipe)
        shop.check_against_shop(self.services.store, recipe)
        self.services.store.recipes.replace(recipe_id, recipe)
        return ToldRecipe.of(kept_recipe(self.services, recipe_id, caller))

    @operation("Remove a recipe", Right.EDIT_RECIPES, status=204)
    def delete(self, caller: Caller, recipe_id: str) -> None:
        """Orders that were placed with it keep their copy."""
        self.services.store.recipes.remove(kept_recipe(self.services, recipe_id, caller).id)


class RecipeFit(Resource):
    """``/v1/recipes/{recipe_id}/fit``."""

    @operation("Lay a recipe on its medium", Right.EDIT_RECIPES, answer=Fit)
    def get(self, caller: Caller, recipe_id: str) -> Fit:
        """What takes how much, by the contents' exact sizes of now."""
        recipe = kept_recipe(self.services, recipe_id, caller).recipe
        return Fit.of(shop.fit_recipe(self.services.store, self.services.web, recipe))


class FitList(Resource):
    """``/v1/recipes/fit``."""

    @operation("Lay contents on a medium", Right.EDIT_RECIPES, body=FitQuestion, answer=Fit)
    def post(self, body: FitQuestion) -> Fit:
        """As a recipe's fit, for contents that no recipe has yet."""
        return Fit.of(
            shop.fit(
                self.services.store,
                self.services.web,
                contents=body.contents,
                base=body.base,
                size=body.size,
            )
        )


def _wifi_password(given: GivenRecipe, before: rules.Recipe | None) -> str | None:
    if before is not None and "wifi_password" not in given.model_fields_set:
        return before.wifi_password
    return given.wifi_password


def _branding(services: Services, given: GivenRecipe, before: rules.Recipe | None) -> Branding | None:
    if before is not None and "branding" not in given.model_fields_set:
        return before.branding
    return kept_branding(services, given.branding)


def _admin_account(given: GivenRecipe, before: rules.Recipe | None) -> rules.AdminAccount | None:
    kept = before.admin_account if before else None
    if "admin_account" not in given.model_fields_set:
        return kept
    if given.admin_account is None:
        return None
    password = given.admin_account.password or (kept.password if kept else None)
    if password is None:
        raise InvalidInput("The admin account needs a password.", field="admin_account.password")
    return rules.AdminAccount(given.admin_account.login, password)
