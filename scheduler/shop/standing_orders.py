"""Standing orders: a recipe ordered again and again, each time with the contents of that day."""

from __future__ import annotations

from datetime import datetime

from cardshop.contract.errors import Conflict, NotFound
from scheduler.catalogue.web import Web
from scheduler.domain.dispatching import channel_of
from scheduler.domain.orders import Order, OrderDraft
from scheduler.domain.rights import Right, may, sees_all
from scheduler.domain.schedules import StandingOrder
from scheduler.seal import Seal
from scheduler.shop import orders
from scheduler.shop.recipes import image_digest, resolve
from scheduler.store.store import Store


def place(
    store: Store,
    web: Web,
    seal: Seal,
    standing: StandingOrder,
    *,
    schedule_id: str,
    owner: str,
    due: datetime,
) -> Order:
    """Places the order of one run; the same run asked again gives the order that it made.

    Args:
        store: the shop.
        web: to fetch the contents' metalinks with.
        seal: of the recipe's secrets.
        standing: what to order.
        schedule_id: of the schedule that asks.
        owner: user name of who made it.
        due: when the run was due: with the schedule's id it names the order.

    Raises:
        Conflict: the owner's account is locked, gone or has lost the right, or the recipe is gone.
        CardshopError: the recipe can't be ordered as it is now; see :func:`scheduler.shop.recipes.resolve`.
    """
    account = store.users.find(owner)
    if account is None or account.disabled:
        raise Conflict(f"The account {owner} that orders is locked or gone.", hint="Make the schedule anew.")
    if not may(account.role, Right.SCHEDULE_ORDERS):
        raise Conflict(f"The account {owner} may schedule no orders now.", hint="Make the schedule anew.")
    try:
        recipe = store.recipes.get(standing.recipe_id, owner=None).recipe
    except NotFound:
        raise Conflict("The recipe is gone.", hint="Choose another recipe.") from None
    resolved = resolve(store, web, recipe, medium=standing.medium or None)
    draft = OrderDraft(
        owner=owner,
        client=standing.client,
        recipient=standing.recipient,
        quantity=standing.quantity,
        recipe_id=standing.recipe_id,
        resolved=resolved,
        image_digest=image_digest(resolved, seal),
        channel=channel_of(client=standing.client, owner=owner, orders_for_others=sees_all(account.role)),
    )
    return orders.place(store, draft, idempotency_key=f"schedule {schedule_id} {due.isoformat()}")
