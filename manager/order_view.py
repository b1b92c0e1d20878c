"""An order as its page tells it: what happens now, which step it is at, what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manager.display import phase_name

STEPS = ("accepted", "building", "built", "writing", "written", "shipped")
DOWNLOAD_STEPS = ("accepted", "building", "built")
ENDED = {"succeeded", "failed", "canceled", "timed-out"}
MOVING = {"queued", "received", "started", "waiting-for-card", "stopping"}
"""Task states that will change without anybody's doing."""


@dataclass(frozen=True)
class OrderView:
    """Built from the API's answer by :func:`view`."""

    order: dict[str, Any]
    create: dict[str, Any] | None  # the task that builds the image; None when it was kept from before
    cards: list[dict[str, Any]]  # the write tasks, by unit
    verified: int
    steps: tuple[str, ...]
    step: int  # index in steps of the last one that was reached
    now: str  # a sentence
    final: bool  # nothing moves any more by itself
    can_cancel: bool
    can_retry: bool
    can_requeue: bool
    can_ship: bool
    can_download: bool
    can_hold: bool
    can_release: bool
    can_prioritize: bool

    @property
    def percent(self) -> int | None:
        """How far the task in hand is."""
        if self.order["state"] == "building" and self.create:
            return percent(self.create)
        return None


def view(order: dict[str, Any]) -> OrderView:
    """The order's page in facts."""
    tasks = order.get("tasks", [])
    create = next((task for task in tasks if task["kind"] == "create"), None)
    cards = sorted((task for task in tasks if task["kind"] == "write"), key=lambda task: int(task["unit"]))
    state = order["state"]
    moving = any(task["state"] in MOVING for task in tasks)
    downloads_only = order["quantity"] == 0
    steps = DOWNLOAD_STEPS if downloads_only else STEPS
    rests = state in {"written", "shipped", "failed", "canceled"} or (state == "built" and downloads_only)
    waits = any(task["state"] == "pending" for task in tasks) and state != "canceled"
    at_workers = any(task["state"] in MOVING - {"stopping"} for task in tasks)
    on_hold = order.get("hold") is not None
    return OrderView(
        order=order,
        create=create,
        cards=cards,
        verified=verified(order),
        steps=steps,
        step=_step(order, steps),
        now=_now(order, create, cards),
        final=rests and not moving,
        can_cancel=state not in {"written", "shipped", "failed", "canceled"}
        and not order.get("cancel_requested_at"),
        can_retry=state == "failed",
        can_requeue=at_workers and not order.get("cancel_requested_at"),
        can_ship=state == "written",
        can_download=order.get("image_digest") is not None
        and (create is None or create["state"] == "succeeded"),
        can_hold=waits and not on_hold,
        can_release=on_hold and state != "canceled",
        can_prioritize=waits,
    )


def verified(order: dict[str, Any]) -> int:
    """Cards of the order that were read back and were right."""
    return sum(task["kind"] == "write" and task["state"] == "succeeded" for task in order.get("tasks", []))


def percent(task: dict[str, Any]) -> int | None:
    """How far a task's phase is; ``None`` while nobody knows."""
    progress = task.get("progress")
    if not progress or not progress["total"]:
        return None
    return min(100, int(100 * progress["done"] / progress["total"]))


def _step(order: dict[str, Any], steps: tuple[str, ...]) -> int:
    """Index of the last step reached; for a failed or canceled order as its history tells."""
    reached = [change["to"] for change in order.get("history", [])] + [order["state"]]
    return max((steps.index(state) for state in reached if state in steps), default=0)


def _now(order: dict[str, Any], create: dict[str, Any] | None, cards: list[dict[str, Any]]) -> str:
    state, quantity = order["state"], order["quantity"]
    done, waiting = verified(order), [card for card in cards if card["state"] == "waiting-for-card"]
    plural = "card" if quantity == 1 else "cards"
    if order.get("hold") and state in {"accepted", "built"}:
        return "On hold: it goes to no worker until it is released."
    if state == "building" and create and create.get("progress"):
        return phase_name(create["progress"]["phase"]) + "."
    if state == "writing" and waiting:
        slots = sorted(f"{card.get('slot') or 'a slot'} of {card['worker']}" for card in waiting)
        return f"Insert a card: {' and '.join(slots)} {'is' if len(slots) == 1 else 'are'} waiting."
    if state == "built" and quantity:
        return "The image is ready; a writer takes the cards next."
    return {
        "accepted": "In the queue for a creator.",
        "building": "A creator has begun.",
        "built": "The image is ready to download.",
        "writing": f"{done} of {quantity} {plural} verified so far.",
        "written": "The card is verified. Ship it!"
        if quantity == 1
        else f"All {quantity} cards are verified. Ship them!",
        "shipped": "On its way to the recipient.",
        "failed": "It stopped. What went wrong is told below; nothing that is good is lost.",
        "canceled": "Canceled. What was verified before stays good.",
    }.get(state, "")
