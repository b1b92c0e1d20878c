"""Retention: how long images are kept, and how they go.

An image goes in three steps: beat gives it up (from then on nobody may rely on it), the warehouse sets its
files aside, and deletes them when the scheduler still agrees. Ordered again in between, it stays.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cardshop.contract.errors import Conflict, NotFound
from scheduler.domain.states import OrderState
from scheduler.domain.tasks import Change
from scheduler.shop.following import change
from scheduler.store.store import Store

_NEED_THEIR_IMAGE = (
    OrderState.ACCEPTED,
    OrderState.BUILDING,
    OrderState.BUILT,
    OrderState.WRITING,
    OrderState.FAILED,  # it may be retried
)


def expire_links(store: Store, days: int) -> int:
    """Ends the downloads of orders whose image was ready ``days`` ago; returns how many."""
    moment = store.clock() - timedelta(days=days)
    return sum(
        _expire_link(store, order.id, moment)
        for order in store.orders.unchanged_since(moment, [OrderState.BUILT])
        if order.draft.quantity == 0 and order.link_expired_at is None
    )


def delete_images(store: Store, days: int) -> int:
    """Gives up the images that no order needs and nobody used for ``days``; returns how many."""
    moment = store.clock() - timedelta(days=days)
    return sum(_give_up(store, digest, moment) for digest in store.images.unused_since(moment))


def confirm_removal(store: Store, digest: str) -> None:
    """The warehouse has set the image aside, and is to delete it.

    Raises:
        Conflict: it was ordered again meanwhile; it must stay.
        NotFound: the shop never had such an image.
    """

    def work(session: Any) -> None:
        state = store.images.state(digest, session)
        if state is None:
            raise NotFound(f"There is no image {digest}.")
        if state == "deleted":
            return
        # A creator that is to bring it may have been told that it is there.
        if state != "deleting" or digest in store.queue.images_in_hand(session):
            raise Conflict(f"The image {digest} is needed again.", hint="Keep it.")
        store.images.deleted(digest, session)

    store.transaction(work)


def _expire_link(store: Store, order_id: str, moment: datetime) -> bool:
    def work(session: Any) -> bool:
        order = store.orders.get(order_id, session)
        if order.state is not OrderState.BUILT or order.link_expired_at or order.updated_at >= moment:
            return False
        now = store.clock()
        why = "its download has ended"
        line = Change(now, "beat", "expire-link", order.state, order.state, why)
        change(
            store,
            replace(order, link_expired_at=now, updated_at=now, history=(*order.history, line)),
            session,
        )
        return True

    return store.transaction(work)


def _give_up(store: Store, digest: str, moment: datetime) -> bool:
    def work(session: Any) -> bool:
        if store.orders.need_image(digest, _NEED_THEIR_IMAGE, session):
            return False
        if digest in store.queue.images_in_hand(session):
            return False
        return store.images.give_up(digest, moment, session)

    return store.transaction(work)
