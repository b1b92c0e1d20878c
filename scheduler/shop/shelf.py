"""The shelf: who may fill it, and what its files are used for."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from cardshop import metalink
from cardshop.contract.tasks import WarehouseAccess
from scheduler.domain.states import OrderState
from scheduler.shop.access import NO_IMAGE, SHELVE, warehouse_access
from scheduler.shop.signing import Signing
from scheduler.store.recipes import KeptRecipe
from scheduler.store.store import Store

_NEEDS_CONTENTS = (OrderState.ACCEPTED, OrderState.BUILDING, OrderState.FAILED)
"""An order in these may still have its image built; a failed one by a retry."""


@dataclass(frozen=True)
class OrderName:
    """An order, as people name it."""

    id: str
    number: int


@dataclass(frozen=True)
class Uses:
    """What would miss a file."""

    contents: tuple[str, ...]  # idents that catalogues list it under
    recipes: tuple[KeptRecipe, ...]
    orders: tuple[OrderName, ...]  # that were pinned to it and whose image is not built


def shelf_access(store: Store, signing: Signing, *, username: str) -> WarehouseAccess:
    """A token to fill the shelf, and the warehouse that has it. Raises Unavailable: there is no warehouse."""
    return warehouse_access(store, signing, username=username, operation=SHELVE, digest=NO_IMAGE)


def uses_of(store: Store, file: str) -> Uses:
    """The recipes and orders that need the file of that name.

    The shop doesn't know which catalogue is the shelf's: an entry whose address ends with the file's name
    counts, whichever catalogue lists it. So it tells rather too many uses than too few.
    """
    idents = store.catalogue.idents_at((f"/{quote(file)}", f"/{quote(file)}{metalink.SUFFIX}"))
    return Uses(
        contents=idents,
        recipes=tuple(store.recipes.with_contents(idents)),
        orders=tuple(OrderName(*found) for found in store.orders.pinned_to(file, _NEEDS_CONTENTS)),
    )
