"""Orders: place, follow, cancel, retry, ship, download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from flask import request
from pydantic import Field

from cardshop.contract.errors import CardshopError, Conflict, InvalidInput, NotAllowed, NotFound
from scheduler.api.images import DownloadToken, download_token
from scheduler.api.operations import Resource, operation
from scheduler.api.recipes import GivenRecipe, kept_recipe, sealed_recipe
from scheduler.api.schemas import Given, Listed, Moment, Paged, PriorityName, Told
from scheduler.api.services import Services
from scheduler.api.tasks import Change, Task
from scheduler.domain import orders as rules
from scheduler.domain import tasks as task_rules
from scheduler.domain.dispatching import Priority, channel_of
from scheduler.domain.orders import MOST_CARDS, OrderDraft, Recipient
from scheduler.domain.recipes import ResolvedRecipe
from scheduler.domain.rights import Right, may, sees_all
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import TaskKind
from scheduler.shop import orders as shop
from scheduler.shop import retrying
from scheduler.shop.accounts import Caller
from scheduler.shop.estimates import Expectation, expect
from scheduler.shop.recipes import image_digest, resolve

LONGEST_IDEMPOTENCY_KEY = 200


class GivenRecipient(Given):
    """Who gets the cards."""

    name: str = Field(min_length=1, max_length=200)
    email: str | None = Field(default=None, pattern=r"^([^@\s]+@[^@\s]+)?$", max_length=254)
    address: str | None = Field(default=None, max_length=2000)
    language: Literal["en", "fr", "es"] | None = Field(
        default=None, description="of mails to them; absent: the recipe's, if mails are written in it"
    )

    def kept(self) -> Recipient:
        """The recipient as an order has it."""
        return Recipient(self.name, self.email or "", self.address or "", self.language or "")


class GivenOrder(Given):
    """An order: a kept recipe, or one written here."""

    recipe_id: str | None = None
    recipe: GivenRecipe | None = None
    medium: str | None = Field(default=None, description="takes the place of the recipe's size")
    quantity: int = Field(strict=True, ge=0, le=MOST_CARDS, description="cards; 0: a download only")
    recipient: GivenRecipient
    client: str | None = Field(default=None, max_length=200, description="the organisation it is for")
    priority: PriorityName = Field(
        default=PriorityName.NORMAL, description="other than normal: for who may change priorities"
    )


class Shipment(Given):
    """How the cards travel."""

    tracking: str = Field(default="", max_length=200)


class Cancellation(Given):
    """Why an order is canceled."""

    why: str = Field(default="", max_length=500)


class ToldRecipient(Told):
    """Who gets the cards."""

    name: str
    email: str
    address: str
    language: str  # of mails to them; empty: the recipe's

    @classmethod
    def of(cls, recipient: Recipient) -> ToldRecipient:
        """The recipient as told."""
        return cls(**vars(recipient))


class ToldHold(Told):
    """Why nothing more of an order goes to workers."""

    who: str
    at: Moment
    why: str


class TaskBrief(Told):
    """A task in a list of orders."""

    id: str
    kind: TaskKind
    unit: int
    state: TaskState


class OrderFacts(Told):
    """What is told of an order wherever it is told of."""

    id: str
    number: int
    state: OrderState
    recipe_name: str
    medium: str
    size_bytes: int
    quantity: int
    recipient: ToldRecipient
    client: str
    owner: str
    image_digest: str
    priority: PriorityName
    hold: ToldHold | None  # None: not on hold
    failure: dict[str, Any] | None  # {"code", "sentence", "hint", ...} of the task that failed it
    created_at: Moment
    updated_at: Moment
    cancel_requested_at: Moment | None
    shipped_at: Moment | None
    tracking: str
    link_expired_at: Moment | None


class OrderBrief(OrderFacts):
    """An order in a list."""

    tasks: list[TaskBrief]


class QueuePlace(Told):
    """Where an order stands among those that wait."""

    kind: TaskKind  # "create": it waits for a creator, "write": for a writer
    place: int  # 1: it is next
    orders: int  # that wait for them, with itself


class Expected(Told):
    """What can be told of an order's end, from what past work of its size took."""

    place: QueuePlace | None  # None: nothing of it waits for a worker
    ready_at: Moment | None  # with all its cards; None: nobody can tell, or it is done
    why: str  # why nobody can tell; else empty


class Order(OrderFacts):
    """An order with its history and tasks."""

    expected: Expected | None = Field(
        description="null where it was not looked for: in the answer to an order placed"
    )
    recipe_id: str | None
    contents: list[str]
    tasks: list[Task]
    history: list[Change]


class OrderList(Resource):
    """``/v1/orders``."""

    @operation("List orders, newest first", Right.READ_ORDERS, query=Paged, answer=Listed[OrderBrief])
    def get(self, caller: Caller, query: Paged) -> Listed[OrderBrief]:
        """The shop's orders; a client's own."""
        store = self.services.store
        owner = None if sees_all(caller.role) else caller.username
        orders, total = store.orders.page(owner=owner, skip=query.skip, limit=query.per_page)
        tasks = store.tasks.of_orders([order.id for order in orders])
        items = [OrderBrief(**_facts(order), tasks=_briefs(tasks.get(order.id, []))) for order in orders]
        return Listed[OrderBrief](items=items, total=total)

    @operation("Place an order", Right.PLACE_ORDERS, body=GivenOrder, answer=Order, status=201)
    def post(self, caller: Caller, body: GivenOrder) -> Order:
        """Checked whole and resolved; a header ``Idempotency-Key`` makes asking again safe.

        409 when that key was used for another order.
        """
        services = self.services
        key, asked = _idempotency_key(), services.seal.fingerprint(body.model_dump_json())
        # Before anything else: what was accepted once stays so, whatever the catalogue says by now.
        if key and (earlier := shop.placed_before(services.store, caller.username, key, asked)):
            return told_order(services, earlier, with_expectation=False)
        priority = body.priority.priority
        if priority is not Priority.NORMAL and not may(caller.role, Right.PRIORITIZE_ORDERS):
            raise NotAllowed("The priority is chosen by an operator.", field="priority")
        resolved = _resolved_recipe(services, body, caller)
        draft = OrderDraft(
            owner=caller.username,
            client=body.client or "",
            recipient=body.recipient.kept(),
            quantity=body.quantity,
            recipe_id=body.recipe_id,
            resolved=resolved,
            image_digest=image_digest(resolved, services.seal),
            channel=channel_of(
                client=body.client or "", owner=caller.username, orders_for_others=sees_all(caller.role)
            ),
            priority=priority,
        )
        order = shop.place(services.store, draft, idempotency_key=key, asked=asked)
        # Where it stands is told to who asks for it: a look at the whole queue for each order is too dear.
        return told_order(services, order, with_expectation=False)


class OrderItem(Resource):
    """``/v1/orders/{order_id}``."""

    @operation("Show an order", Right.READ_ORDERS, answer=Order)
    def get(self, caller: Caller, order_id: str) -> Order:
        """The order with its tasks."""
        return told_order(self.services, seen_order(self.services, order_id, caller))


class OrderCancel(Resource):
    """``/v1/orders/{order_id}/cancel``."""

    @operation("Cancel an order", Right.CANCEL_ORDERS, body=Cancellation, answer=Order)
    def post(self, caller: Caller, order_id: str, body: Cancellation) -> Order:
        """Asking twice is the same as asking once."""
        seen_order(self.services, order_id, caller)
        order = shop.cancel(self.services.store, order_id, who=caller.username, why=body.why)
        return told_order(self.services, order)


class OrderRetry(Resource):
    """``/v1/orders/{order_id}/retry``."""

    @operation("Retry what failed of an order", Right.RETRY_ORDERS, answer=Order)
    def post(self, caller: Caller, order_id: str) -> Order:
        """What is good is kept; asking twice is the same as asking once."""
        seen_order(self.services, order_id, caller)
        return told_order(self.services, retrying.retry(self.services.store, order_id, who=caller.username))


class OrderShipment(Resource):
    """``/v1/orders/{order_id}/shipment``."""

    @operation("Say that the cards were shipped", Right.SHIP_ORDERS, body=Shipment, answer=Order)
    def post(self, caller: Caller, order_id: str, body: Shipment) -> Order:
        """Only a written order can be shipped."""
        seen_order(self.services, order_id, caller)
        order = shop.ship(self.services.store, order_id, who=caller.username, tracking=body.tracking)
        return told_order(self.services, order)


class OrderDownloadTokens(Resource):
    """``/v1/orders/{order_id}/download-tokens``."""

    @operation("Get a token for the image", Right.DOWNLOAD_IMAGES, answer=DownloadToken, status=201)
    def post(self, caller: Caller, order_id: str) -> DownloadToken:
        """For the order's one image, while it is kept."""
        services = self.services
        order = seen_order(services, order_id, caller)
        if order.link_expired_at is not None:
            raise Conflict("The order's download has ended.", hint="Order the recipe again.")
        return download_token(services, caller, order.draft.image_digest)


def _resolved_recipe(services: Services, body: GivenOrder, caller: Caller) -> ResolvedRecipe:
    if body.recipe is None and body.recipe_id is not None:
        kept = kept_recipe(services, body.recipe_id, caller).recipe
        return resolve(services.store, services.web, kept, medium=body.medium)
    if body.recipe is None or body.recipe_id is not None:
        raise InvalidInput("An order has a recipe_id or a recipe, one of them.", field="recipe_id")
    try:
        # Whether the shop has what it names is found when it is resolved.
        given = sealed_recipe(services, body.recipe)
        return resolve(services.store, services.web, given, medium=body.medium)
    except CardshopError as error:
        if error.field and error.field != "medium":
            error.field = f"recipe.{error.field}"
        raise


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key") or None
    if key and len(key) > LONGEST_IDEMPOTENCY_KEY:
        raise InvalidInput(f"An Idempotency-Key has at most {LONGEST_IDEMPOTENCY_KEY} characters.")
    return key


def seen_order(services: Services, order_id: str, caller: Caller) -> rules.Order:
    """The order, for those who may see it. Raises NotFound."""
    order = services.store.orders.get(order_id)
    if not sees_all(caller.role) and order.draft.owner != caller.username:
        raise NotFound(f"There is no order {order_id}.")
    return order


def told_order(services: Services, order: rules.Order, *, with_expectation: bool = True) -> Order:
    """The order as told, with its tasks."""
    tasks = services.store.tasks.of_order(order.id)
    return Order(
        **_facts(order),
        expected=_expected(expect(services.store, order, tasks)) if with_expectation else None,
        recipe_id=order.draft.recipe_id,
        contents=[content.ident for content in order.draft.resolved.contents],
        tasks=[Task.of(task) for task in tasks],
        history=[Change.of(change) for change in order.history],
    )


def _expected(found: Expectation) -> Expected:
    place = found.place
    told = QueuePlace(kind=place.kind, place=place.place, orders=place.orders) if place else None
    return Expected(place=told, ready_at=found.ready_at, why=found.why)


def _briefs(tasks: Sequence[task_rules.Task]) -> list[TaskBrief]:
    return [TaskBrief(id=task.id, kind=task.kind, unit=task.unit, state=task.state) for task in tasks]


def _facts(order: rules.Order) -> dict[str, Any]:
    draft = order.draft
    return {
        "id": order.id,
        "number": order.number,
        "state": order.state,
        "recipe_name": draft.resolved.recipe.name,
        "medium": draft.resolved.medium,
        "size_bytes": draft.resolved.size_bytes,
        "quantity": draft.quantity,
        "recipient": ToldRecipient.of(draft.recipient),
        "client": draft.client,
        "owner": draft.owner,
        "image_digest": draft.image_digest,
        "priority": PriorityName.of(order.priority),
        "hold": order.hold and ToldHold(who=order.hold.who, at=order.hold.at, why=order.hold.why),
        "failure": None if order.failure is None else dict(order.failure),
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "cancel_requested_at": order.cancel_requested_at,
        "shipped_at": order.shipped_at,
        "tracking": order.tracking,
        "link_expired_at": order.link_expired_at,
    }
