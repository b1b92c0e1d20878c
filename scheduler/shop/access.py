"""Access to the warehouse: a token for one operation on one image or for the shelf, and where to show it."""

from __future__ import annotations

from cardshop.contract.errors import NotAllowed, NotAuthenticated, Unavailable
from cardshop.contract.tasks import Claim, WarehouseAccess
from scheduler.domain.rights import Right
from scheduler.domain.tasks import TaskKind
from scheduler.seal import Seal
from scheduler.shop.accounts import Accounts
from scheduler.shop.passports import for_card
from scheduler.shop.recipes import card_configuration
from scheduler.shop.signing import Signing, WarehouseRight
from scheduler.shop.tasks import Claimed
from scheduler.store.store import Store

UPLOAD = "upload"
DOWNLOAD = "download"
SHELVE = "shelve"
"""Uploads, lists and deletes files of the shelf."""

NO_IMAGE = "0" * 64
"""The digest that a token is for which is to open no image: a trial's, or the shelf's."""

_OPERATIONS = {TaskKind.CREATE: UPLOAD, TaskKind.WRITE: DOWNLOAD}


def warehouse_access(
    store: Store, signing: Signing, *, username: str, operation: str, digest: str
) -> WarehouseAccess:
    """A token for ``username``, and the warehouse that takes it.

    Raises:
        Unavailable: the shop has no warehouse yet.
    """
    warehouses = store.warehouses.every()
    if not warehouses:
        raise Unavailable("The shop has no warehouse yet.", hint="An admin adds one: POST /v1/warehouses.")
    token, expires_at = signing.warehouse_token(username, operation, digest)
    return WarehouseAccess(
        host=warehouses[0].host,
        port=warehouses[0].port,
        token=token,
        expires_at=expires_at.isoformat().replace("+00:00", "Z"),
    )


def claim_answer(store: Store, signing: Signing, seal: Seal, claimed: Claimed) -> Claim:
    """What the worker gets that claimed a task; for a creator, the recipe's secrets are in it.

    Raises:
        Unavailable: the shop has no warehouse yet.
    """
    task, draft = claimed.task, claimed.order.draft
    access = warehouse_access(
        store,
        signing,
        username=task.worker or "",
        operation=_OPERATIONS[task.kind],
        digest=task.image_digest,
    )
    configuration = passport = None
    if task.kind is TaskKind.CREATE:
        configuration = card_configuration(store, draft.resolved, draft.image_digest, seal)
    else:
        passport = for_card(store, seal, claimed.order, task)
    return Claim(
        task_id=task.id,
        attempt=task.attempt,
        claim=task.claim,
        warehouse=access,
        card_configuration=configuration,
        passport=passport,
    )


def warehouse_right(signing: Signing, accounts: Accounts, token: str) -> WarehouseRight:
    """What a token that the warehouse was shown is good for.

    Raises:
        NotAllowed: nothing: it is forged, expired, for another purpose, or its owner is locked.
    """
    try:
        right = signing.read_warehouse_token(token)
    except NotAuthenticated as error:
        raise NotAllowed(error.sentence) from None
    if not accounts.is_enabled(right.username):
        raise NotAllowed("The account that the token was given to is locked.")
    if right.operation == SHELVE and not accounts.may(right.username, Right.FILL_SHELF):
        raise NotAllowed("The account that the token was given to may not fill the shelf any more.")
    return right
