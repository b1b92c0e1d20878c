"""What a person says about the queue: hold and release an order, change its priority, put it in anew."""

from __future__ import annotations

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.orders import Order, seen_order, told_order
from scheduler.api.schemas import Given, PriorityName
from scheduler.domain.rights import Right
from scheduler.shop import control as shop
from scheduler.shop import retrying
from scheduler.shop.accounts import Caller


class Reason(Given):
    """Why it is asked for; it stands in the history."""

    why: str = Field(default="", max_length=500)


class ChangedPriority(Reason):
    """How urgent the order is now."""

    priority: PriorityName


class OrderHold(Resource):
    """``/v1/orders/{order_id}/hold``."""

    @operation("Hold an order", Right.HOLD_ORDERS, body=Reason, answer=Order)
    def post(self, caller: Caller, order_id: str, body: Reason) -> Order:
        """Nothing more of it goes to workers; asking twice is the same as asking once."""
        seen_order(self.services, order_id, caller)
        order = shop.hold(self.services.store, order_id, who=caller.username, why=body.why)
        return told_order(self.services, order)


class OrderRelease(Resource):
    """``/v1/orders/{order_id}/release``."""

    @operation("Release an order that is on hold", Right.HOLD_ORDERS, body=Reason, answer=Order)
    def post(self, caller: Caller, order_id: str, body: Reason) -> Order:
        """It takes its place in the queue again; asking twice is the same as asking once."""
        seen_order(self.services, order_id, caller)
        order = shop.release(self.services.store, order_id, who=caller.username, why=body.why)
        return told_order(self.services, order)


class OrderPriority(Resource):
    """``/v1/orders/{order_id}/priority``."""

    @operation("Change an order's priority", Right.PRIORITIZE_ORDERS, body=ChangedPriority, answer=Order)
    def post(self, caller: Caller, order_id: str, body: ChangedPriority) -> Order:
        """For what isn't at a worker yet; asking twice is the same as asking once."""
        seen_order(self.services, order_id, caller)
        order = shop.set_priority(
            self.services.store, order_id, body.priority.priority, who=caller.username, why=body.why
        )
        return told_order(self.services, order)


class OrderRequeue(Resource):
    """``/v1/orders/{order_id}/requeue``."""

    @operation(
        "Put what isn't done of an order in the queue anew", Right.RETRY_ORDERS, body=Reason, answer=Order
    )
    def post(self, caller: Caller, order_id: str, body: Reason) -> Order:
        """Its workers are told to stop, others go on; asking twice is the same as asking once."""
        seen_order(self.services, order_id, caller)
        order = retrying.requeue(self.services.store, order_id, who=caller.username, why=body.why)
        return told_order(self.services, order)
