"""Passports of cards: what goes onto a card with its image, and what is told of a card that is verified.

Signed here and not where events are folded: the monitor has no secret of the shop's, so that who breaks into
it can't make a card genuine. The facts are kept with the task, and a key signs the same text the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardshop.contract.passports import CardStatement, Passport, Signed
from scheduler.domain.orders import Order
from scheduler.domain.states import TaskState
from scheduler.domain.tasks import Task, TaskKind
from scheduler.seal import Seal
from scheduler.shop.image_signatures import signer
from scheduler.store.store import Store


def for_card(store: Store, seal: Seal, order: Order, task: Task) -> Signed | None:
    """What the writer puts onto the card of its task; None for an image that was never built.

    A writer may have an image that the warehouse keeps no more.
    """
    manifest = store.images.manifest_sha256(task.image_digest)
    if manifest is None:
        return None
    statement = CardStatement(
        order=order.number,
        unit=task.unit,
        units=order.draft.quantity,
        task=task.id,
        attempt=task.attempt,
        image=task.image_digest,
        manifest=manifest,
    )
    return signer(store, seal)(statement.to_statement())


def passports_of(order: Order, tasks: Sequence[Task]) -> list[Passport]:
    """The passports of all verified cards of an order, by unit."""
    return [passport for task in tasks if (passport := facts_of(order, task)) is not None]


def signed(store: Store, seal: Seal, passports: Sequence[Passport]) -> list[Signed]:
    """Each passport's statement, signed."""
    sign = signer(store, seal)
    return [sign(passport.to_statement()) for passport in passports]


def facts_of(order: Order, task: Task) -> Passport | None:
    """What is known of the task's card, once it is verified."""
    outcome = task.outcome
    if task.kind is not TaskKind.WRITE or task.state is not TaskState.SUCCEEDED or outcome is None:
        return None
    verified = next(change for change in reversed(task.history) if change.to_state == TaskState.SUCCEEDED)
    write, read = _speed(outcome, "write_speed"), _speed(outcome, "read_speed")
    return Passport(
        order=order.number,
        unit=task.unit,
        units=order.draft.quantity,
        task=task.id,
        attempt=task.attempt,
        image=task.image_digest,
        manifest=outcome.get("manifest_sha256", ""),
        serial=outcome["card"]["serial"],
        size=max(outcome["card"]["size_bytes"], 0),
        verified=max(outcome["verified_bytes"], 0),
        at=verified.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        slot=outcome["slot"],
        writer=task.worker or "",
        host=outcome.get("host", ""),
        write_median=write[0],
        write_worst=write[1],
        read_median=read[0],
        read_worst=read[1],
        retries=max(outcome.get("retries", 0), 0),
    )


def _speed(outcome: Mapping[str, Any], name: str) -> tuple[int, int]:
    speed = outcome.get(name) or {"median": 0, "worst": 0}
    return max(speed["median"], 0), max(speed["worst"], 0)
