"""Passports of an order's cards."""

from __future__ import annotations

from cardshop.contract.passports import Passport as Facts
from cardshop.contract.passports import Signed
from scheduler.api.operations import Resource, operation
from scheduler.api.orders import seen_order
from scheduler.api.schemas import Listed, Paged, Signature, Told
from scheduler.domain.rights import Right
from scheduler.shop.accounts import Caller
from scheduler.shop.passports import passports_of, signed


class Passport(Told):
    """A verified card. Speeds are bytes a second, 0 where none was measured; ``signed`` says it all again."""

    order: int
    unit: int
    units: int
    task: str
    attempt: int
    image: str
    manifest: str  # SHA-256 of the image's manifest
    serial: str
    size: int
    verified: int
    at: str
    slot: str
    writer: str
    host: str
    write_median: int
    write_worst: int
    read_median: int
    read_worst: int
    retries: int
    signed: Signature

    @classmethod
    def of(cls, facts: Facts, signed: Signed) -> Passport:
        """The passport as told."""
        return cls(**vars(facts), signed=Signature(**vars(signed)))


class OrderPassportList(Resource):
    """``/v1/orders/{order_id}/passports``."""

    @operation(
        "List the passports of an order's verified cards",
        Right.READ_ORDERS,
        query=Paged,
        answer=Listed[Passport],
    )
    def get(self, caller: Caller, order_id: str, query: Paged) -> Listed[Passport]:
        """By unit; a card that isn't verified has none."""
        services = self.services
        order = seen_order(services, order_id, caller)
        every = passports_of(order, services.store.tasks.of_order(order.id))
        page = every[query.skip : query.skip + query.per_page]
        statements = signed(services.store, services.seal, page)
        items = [Passport.of(*both) for both in zip(page, statements, strict=True)]
        return Listed[Passport](items=items, total=len(every))
