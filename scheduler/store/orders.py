"""The collection ``orders``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from pymongo import ReturnDocument
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from cardshop.contract.errors import NotFound
from scheduler.domain.dispatching import Priority
from scheduler.domain.orders import Hold, Order, OrderDraft, Recipient
from scheduler.domain.recipes import ResolvedRecipe
from scheduler.domain.states import OrderState
from scheduler.store.database import Collection, Database, Document, Session, to_document
from scheduler.store.tasks import history


class Orders:
    """Orders by id. A number counts them for people; the id can't be guessed."""

    def __init__(self, database: Database[Document]) -> None:
        self._orders: Collection[Document] = database["orders"]
        # An order waits for the disk when it is stored, and what was written before it is safe with it. A
        # number that a crash of the database takes back was given to no order that is there.
        self._counters: Collection[Document] = database["counters"].with_options(
            write_concern=WriteConcern(1), read_concern=ReadConcern("local")
        )

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._orders.create_index("number", unique=True)
        self._orders.create_index([("draft.image_digest", 1), ("state", 1)])
        self._orders.create_index([("draft.owner", 1), ("created_at", -1)])
        self._orders.create_index(
            [("draft.owner", 1), ("idempotency_key", 1)],
            unique=True,
            partialFilterExpression={"idempotency_key": {"$type": "string"}},
        )

    def next_number(self) -> int:
        """A number that no other order gets. Not part of the transaction: a gap is no harm, a wait is."""
        counter = self._counters.find_one_and_update(
            {"_id": "orders"}, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        return int((counter or {})["value"])

    def insert(
        self, order: Order, session: Session = None, *, idempotency_key: str | None = None, asked: str = ""
    ) -> None:
        """Stores a new order; ``asked`` is a fingerprint of what was asked for with the key."""
        document = to_document(order)
        if idempotency_key:
            document |= {"idempotency_key": idempotency_key, "asked": asked}
        self._orders.insert_one(document, session=session)

    def by_idempotency_key(self, owner: str, key: str, session: Session = None) -> tuple[Order, str] | None:
        """The order that ``owner`` placed with this key before, and the fingerprint of what was asked for."""
        found = self._orders.find_one({"draft.owner": owner, "idempotency_key": key}, session=session)
        return (_order(found), found.get("asked", "")) if found else None

    def get(self, order_id: str, session: Session = None) -> Order:
        """The order. Raises NotFound."""
        document = self._orders.find_one({"_id": order_id}, session=session)
        if document is None:
            raise NotFound(f"There is no order {order_id}.")
        return _order(document)

    def by_ids(self, order_ids: Iterable[str], session: Session = None) -> dict[str, Order]:
        """Those of the orders that there are, by id."""
        found = self._orders.find({"_id": {"$in": list(order_ids)}}, session=session)
        return {document["_id"]: _order(document) for document in found}

    def page(self, *, owner: str | None, skip: int = 0, limit: int = 50) -> tuple[list[Order], int]:
        """Orders, newest first, and how many there are; only ``owner``'s unless None."""
        query: Document = {"draft.owner": owner} if owner else {}
        found = self._orders.find(query).sort("number", -1).skip(skip).limit(limit)
        return [_order(document) for document in found], self._orders.count_documents(query)

    def need_image(self, digest: str, states: Iterable[OrderState], session: Session = None) -> bool:
        """Whether an order in one of these states, whose download has not ended, is of this image."""
        query = {
            "draft.image_digest": digest,
            "state": {"$in": list(states)},
            "link_expired_at": None,
        }
        return self._orders.find_one(query, {"_id": 1}, session=session) is not None

    def unchanged_since(self, moment: datetime, states: Iterable[OrderState]) -> list[Order]:
        """The orders in these states that are as they were at ``moment``, oldest first."""
        found = self._orders.find({"state": {"$in": list(states)}, "updated_at": {"$lt": moment}})
        return [_order(document) for document in found.sort("number", 1)]

    def pinned_to(self, file: str, states: Iterable[OrderState]) -> list[tuple[str, int]]:
        """Id and number of the orders in these states of whose contents one is a file of that name."""
        query = {"state": {"$in": list(states)}, "draft.resolved.contents.file": file}
        found = self._orders.find(query, {"number": 1}).sort("number", 1)
        return [(document["_id"], document["number"]) for document in found]

    def pictures(self) -> set[str]:
        """Names of the pictures that orders' branding has: an image may be built anew at any time."""
        fields = ("draft.resolved.recipe.branding.logo", "draft.resolved.recipe.branding.favicon")
        return {name for field in fields for name in self._orders.distinct(field) if name}

    def change(self, order_id: str, decide: Callable[[Order], Order], session: Session = None) -> Order:
        """Changes an order by compare-and-set on its revision; ``decide`` gives the revision one higher.

        An order that ``decide`` gives back as it is isn't written. Raises NotFound.
        """
        while True:
            order = self.get(order_id, session)
            decided = decide(order)
            if decided == order:
                return order
            replaced = self._orders.update_one(
                {"_id": order_id, "revision": order.revision},
                {"$set": {key: value for key, value in to_document(decided).items() if key != "_id"}},
                session=session,
            )
            if replaced.matched_count:
                return decided


def _order(document: Document) -> Order:
    draft = document["draft"]
    fields = {key: value for key, value in document.items() if key not in ("_id", "idempotency_key", "asked")}
    return Order(
        **{
            **fields,
            "id": document["_id"],
            "draft": OrderDraft(
                **{
                    **draft,
                    "recipient": Recipient(**draft["recipient"]),
                    "resolved": ResolvedRecipe.from_wire(draft["resolved"]),
                    "priority": Priority(draft.get("priority", Priority.NORMAL)),
                }
            ),
            "priority": Priority(document.get("priority", Priority.NORMAL)),
            "hold": Hold(**document["hold"]) if document.get("hold") else None,
            "state": OrderState(document["state"]),
            "history": history(document["history"]),
        }
    )
