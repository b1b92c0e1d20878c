"""Who is told of what: a mail is written with the change that it tells of, in its reader's language."""

from __future__ import annotations

from typing import Any

import pytest

from cardshop.contract.events import EventType, Failure, Waiting
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.mails import MailKind
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.domain.tasks import Task
from scheduler.shop import orders, retrying
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from scheduler.store.store import Store
from tests.real_services import RealMongod
from tests.shop import a_draft, add_people, card_written, image_built, new_store, told


@pytest.fixture
def store(mongod: RealMongod) -> Store:
    store = new_store(mongod.uri)
    add_people(store)
    return store


def place(store: Store, **draft: Any) -> Order:
    return orders.place(store, a_draft(**draft))


def written(store: Store) -> list[tuple[MailKind, str, str]]:
    """What was written to whom, in which language; the oldest first."""
    newest_first, _ = store.mails.page(limit=1000)
    return [(mail.kind, mail.reader.address, mail.reader.language) for mail in reversed(newest_first)]


def claimed(store: Store, task: Task, worker: str) -> Task:
    role = Role.CREATOR if worker.startswith("creator") else Role.WRITER
    return claim(store, task.id, task.attempt, worker=worker, role=role).task


def build_image(store: Store, order: Order) -> None:
    image = claimed(store, store.tasks.of_order(order.id)[0], "creator-1")
    fold_event(store, told(image, EventType.TASK_SUCCEEDED, body=image_built()), sender="creator-1")


def test_the_whole_way_of_an_order_is_told_to_those_whom_it_concerns(store: Store) -> None:
    order = place(store, quantity=1)
    build_image(store, order)
    card = store.tasks.of_order(order.id)[1]
    writer = card.worker or ""
    held = claimed(store, card, writer)
    waiting = told(held, EventType.TASK_WAITING, body=Waiting("A", "Insert a card."))
    fold_event(store, waiting, sender=writer)
    fold_event(store, waiting, sender=writer)
    fold_event(store, told(held, EventType.TASK_SUCCEEDED, body=card_written()), sender=writer)
    orders.ship(store, order.id, who="operator", tracking="X1")
    orders.ship(store, order.id, who="operator", tracking="X1")

    assert written(store) == [
        (MailKind.ORDER_ACCEPTED, "school@shop.example", "en"),
        (MailKind.INSERT_CARD, "technician@shop.example", "es"),
        (MailKind.TAKE_CARD_OUT, "technician@shop.example", "es"),
        (MailKind.SHIP_ORDER, "operator@shop.example", "fr"),
        (MailKind.ORDER_SHIPPED, "school@shop.example", "en"),
    ]


def test_a_client_gets_a_copy_and_is_told_of_the_download(store: Store) -> None:
    order = place(store, quantity=0, owner="client")
    build_image(store, order)

    assert written(store) == [
        (MailKind.ORDER_ACCEPTED, "school@shop.example", "en"),
        (MailKind.ORDER_ACCEPTED, "client@shop.example", "fr"),
        (MailKind.IMAGE_READY, "school@shop.example", "en"),
        (MailKind.IMAGE_READY, "client@shop.example", "fr"),
    ]


def test_a_failure_is_told_to_the_staff_each_time_and_never_to_the_recipient(store: Store) -> None:
    order = place(store, quantity=1)
    for attempt in (1, 2):
        image = store.tasks.of_order(order.id)[0]
        held = claimed(store, image, "creator-1")
        failed = told(held, EventType.TASK_FAILED, body=Failure("no-space", f"The disk is full ({attempt})."))
        fold_event(store, failed, sender="creator-1")
        if attempt == 1:
            retrying.retry(store, order.id, who="operator")

    told_of = [mail for mail in written(store) if mail[0] is MailKind.ORDER_FAILED]
    assert told_of == 2 * [
        (MailKind.ORDER_FAILED, "operator@shop.example", "fr"),
        (MailKind.ORDER_FAILED, "admin@shop.example", "en"),
    ]


def test_a_cancel_is_mailed_to_nobody(store: Store) -> None:
    order = place(store)
    orders.cancel(store, order.id, who="operator")

    assert [kind for kind, _, _ in written(store)] == [MailKind.ORDER_ACCEPTED]


def test_an_alarm_is_told_once_when_it_begins_and_once_when_it_ends(store: Store) -> None:
    for _ in range(3):
        raise_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="writer-1", sentence="It is silent.")
    for _ in range(2):
        end_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="writer-1")

    assert written(store) == [
        (MailKind.ALARM_RAISED, "admin@shop.example", "en"),
        (MailKind.ALARM_ENDED, "admin@shop.example", "en"),
    ]


def test_the_address_of_a_writer_s_account_is_told_of_its_cards(store: Store) -> None:
    for writer in ("writer-1", "writer-2"):
        store.users.change(writer, {"email": f"{writer}@desk.example", "language": "es"})
    order = place(store, quantity=1)
    build_image(store, order)
    card = store.tasks.of_order(order.id)[1]
    held = claimed(store, card, card.worker or "")
    fold_event(store, told(held, EventType.TASK_SUCCEEDED, body=card_written()), sender=held.worker or "")

    told_of = [mail for mail in written(store) if mail[0] is MailKind.TAKE_CARD_OUT]
    assert told_of == [(MailKind.TAKE_CARD_OUT, f"{card.worker}@desk.example", "es")]


def test_a_change_that_fails_has_written_no_mail(store: Store) -> None:
    def fail_at_the_end(session: Any) -> None:
        raise_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="w", sentence="Silent.", session=session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.transaction(fail_at_the_end)

    assert written(store) == []
