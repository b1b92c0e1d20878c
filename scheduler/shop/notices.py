"""Who is told of what: mails are written in the transaction of the change that they tell of.

Writing one costs an insert and can't fail for a reason of its own; beat sends it. Nothing here waits for a
mail server, and an account or a recipient without an address is told nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.domain.alarms import AlarmKind
from scheduler.domain.mails import Mail, MailKind, Reader, readers
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.states import OrderState, TaskState
from scheduler.domain.tasks import Task, TaskKind
from scheduler.store.store import Store
from scheduler.store.users import User

NOT_MAILED = frozenset({AlarmKind.MAIL_UNSENT, AlarmKind.MAIL_SERVER_AWAY})
"""Alarms about mails: a mail about them would meet the same trouble, and raise the next one."""


def order_placed(store: Store, order: Order, session: Any) -> None:
    """Tells the recipient, and the client whose account ordered."""
    _tell(store, MailKind.ORDER_ACCEPTED, order, _customers(store, order), session)


def order_moved(store: Store, order: Order, session: Any) -> None:
    """Tells whom the state concerns that the order has just come to."""
    match order.state:
        case OrderState.BUILT if order.draft.quantity == 0:
            facts = {"kept_until": "", "path": f"/orders/{order.id}"}
            _tell(store, MailKind.IMAGE_READY, order, _customers(store, order), session, facts)
        case OrderState.WRITTEN:
            facts = {"path": f"/orders/{order.id}/slip"}
            _tell(store, MailKind.SHIP_ORDER, order, _operators(store, order), session, facts)
        case OrderState.SHIPPED:
            facts = {"tracking": order.tracking}
            _tell(store, MailKind.ORDER_SHIPPED, order, [_recipient(order)], session, facts)
        case OrderState.FAILED:
            told = order.failure or {}
            facts = {
                "sentence": told.get("sentence", ""),
                "hint": told.get("hint", ""),
                "path": f"/orders/{order.id}",
            }
            staff = [*_operators(store, order), *_with_role(store, Role.ADMIN)]
            _tell(store, MailKind.ORDER_FAILED, order, staff, session, facts)


def task_moved(store: Store, before: Task, after: Task, session: Any) -> None:
    """Tells who stands beside the writer what to do with a card."""
    if after.kind is not TaskKind.WRITE or after.state is before.state:
        return
    facts = {"worker": after.worker or "", "unit": after.unit, "path": f"/orders/{after.order_id}"}
    cause = f"{after.id} {after.attempt}"
    match after.state:
        case TaskState.WAITING_FOR_CARD:
            kind, slot = MailKind.INSERT_CARD, (after.waiting_for or {}).get("slot", "")
        case TaskState.SUCCEEDED:
            card = (after.outcome or {}).get("card") or {}
            kind, slot = MailKind.TAKE_CARD_OUT, (after.outcome or {}).get("slot", "")
            facts["serial"] = card.get("serial", "")
        case _:
            return
    order = store.orders.get(after.order_id, session)
    readers_there = _beside_writer(store, after.worker or "")
    _tell(store, kind, order, readers_there, session, {**facts, "slot": slot}, cause=cause)


def alarm_raised(store: Store, kind: AlarmKind, subject: str, sentence: str, session: Any) -> None:
    """Tells the admins."""
    _tell_of_alarm(store, MailKind.ALARM_RAISED, kind, subject, sentence, session)


def alarm_ended(store: Store, kind: AlarmKind, subject: str, session: Any) -> None:
    """Tells the admins."""
    _tell_of_alarm(store, MailKind.ALARM_ENDED, kind, subject, "", session)


def _tell(
    store: Store,
    kind: MailKind,
    order: Order,
    people: Iterable[tuple[str | None, str]],
    session: Any,
    facts: Mapping[str, Any] | None = None,
    cause: str = "",
) -> None:
    draft = order.draft
    shared = {
        "number": order.number,
        "recipe": draft.resolved.recipe.name,
        "recipient": draft.recipient.name,
        "quantity": draft.quantity,
        "medium": draft.resolved.medium,
    }
    # An order that fails again after a retry has one more line of history.
    cause = cause or f"{order.id} {len(order.history)}"
    mails = [
        _mail(store, kind, cause, reader, {**shared, **(facts or {})}, order.id) for reader in readers(people)
    ]
    store.mails.add(mails, session)


def _tell_of_alarm(
    store: Store, kind: MailKind, alarm: AlarmKind, subject: str, sentence: str, session: Any
) -> None:
    if alarm in NOT_MAILED:
        return
    now = store.clock()
    facts = {"alarm": alarm.value, "subject": subject, "sentence": sentence, "path": "/alarms"}
    cause = f"{alarm.value} {subject} {now.isoformat()}"
    admins = readers(_with_role(store, Role.ADMIN))
    store.mails.add([_mail(store, kind, cause, reader, facts, None) for reader in admins], session)


def _mail(
    store: Store, kind: MailKind, cause: str, reader: Reader, facts: Mapping[str, Any], order_id: str | None
) -> Mail:
    return Mail(
        id="",  # the store gives it
        cause=f"{kind.value} {cause}",
        kind=kind,
        reader=reader,
        facts=facts,
        created_at=store.clock(),
        order_id=order_id,
    )


def _customers(store: Store, order: Order) -> list[tuple[str | None, str]]:
    owner = store.users.find(order.draft.owner)
    copy = [_person(owner)] if owner and owner.role is Role.CLIENT else []
    return [_recipient(order), *copy]


def _recipient(order: Order) -> tuple[str | None, str]:
    recipient = order.draft.recipient
    return recipient.email, recipient.language or order.draft.resolved.recipe.language


def _operators(store: Store, order: Order) -> list[tuple[str | None, str]]:
    """Who ordered, when that is one of the staff; else every operator."""
    owner = store.users.find(order.draft.owner)
    if owner and owner.email and not owner.disabled and owner.role in (Role.OPERATOR, Role.ADMIN):
        return [_person(owner)]
    return _with_role(store, Role.OPERATOR) or _with_role(store, Role.ADMIN)


def _beside_writer(store: Store, writer: str) -> list[tuple[str | None, str]]:
    """The address of the writer's own account, if it has one: the desk it stands on; else the technicians."""
    account = store.users.find(writer)
    if account and account.email:
        return [_person(account)]
    return _with_role(store, Role.TECHNICIAN) or _with_role(store, Role.OPERATOR)


def _with_role(store: Store, role: Role) -> list[tuple[str | None, str]]:
    return [_person(user) for user in store.users.with_role(role) if user.email and not user.disabled]


def _person(user: User) -> tuple[str | None, str]:
    return user.email, user.language
