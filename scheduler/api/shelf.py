"""The shelf: ZIM files of an organisation's own, which operators bring to the warehouse."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Told
from scheduler.api.tasks import Access
from scheduler.domain.rights import Right
from scheduler.shop.accounts import Caller
from scheduler.shop.shelf import shelf_access, uses_of


class ShelfFileQuery(Given):
    """Which file."""

    file: str = Field(min_length=1, max_length=255, description="its name on the shelf")


class RecipeName(Told):
    """A recipe, as people name it."""

    id: str
    name: str


class OrderName(Told):
    """An order, as people name it."""

    id: str
    number: int


class ShelfUses(Told):
    """What would miss a file of the shelf."""

    contents: list[str] = Field(description="idents that catalogues list the file under")
    recipes: list[RecipeName]
    orders: list[OrderName] = Field(description="whose image is not built yet")


class ShelfTokens(Resource):
    """``/v1/shelf-tokens``."""

    @operation("Get a token to fill the shelf", Right.FILL_SHELF, answer=Access, status=201)
    def post(self, caller: Caller) -> Access:
        """Where the warehouse is, and a token to upload, list and delete ZIM files of its shelf there."""
        access = shelf_access(self.services.store, self.services.signing, username=caller.username)
        return Access(**asdict(access))


class ShelfUseList(Resource):
    """``/v1/shelf-uses``."""

    @operation("Tell what needs a shelf's file", Right.FILL_SHELF, query=ShelfFileQuery, answer=ShelfUses)
    def get(self, query: ShelfFileQuery) -> ShelfUses:
        """Recipes and orders: asked before the file is deleted or replaced."""
        uses = uses_of(self.services.store, query.file)
        return ShelfUses(
            contents=list(uses.contents),
            recipes=[RecipeName(id=kept.id, name=kept.recipe.name) for kept in uses.recipes],
            orders=[OrderName(id=order.id, number=order.number) for order in uses.orders],
        )
