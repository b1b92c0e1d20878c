"""Removals: the images that the warehouse is to delete."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Told
from scheduler.domain.rights import Right
from scheduler.shop.retention import confirm_removal


class Removal(Told):
    """An image that nobody needs any more."""

    digest: str


class RemovalList(Resource):
    """``/v1/removals``."""

    @operation("List the images to delete", Right.CHECK_WAREHOUSE_TOKENS, answer=Listed[Removal])
    def get(self) -> Listed[Removal]:
        """Those that were given up and not yet deleted."""
        removals = [Removal(digest=digest) for digest in self.services.store.images.deleting()]
        return Listed[Removal](items=removals, total=len(removals))


class RemovalItem(Resource):
    """``/v1/removals/{digest}``."""

    @operation("Say that an image is set aside", Right.CHECK_WAREHOUSE_TOKENS, status=204)
    def post(self, digest: str) -> None:
        """It is to be deleted then; a 409 says that it was ordered again, and must stay."""
        confirm_removal(self.services.store, digest)
