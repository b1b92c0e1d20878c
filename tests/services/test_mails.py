"""Mails over a real MongoDB and a real SMTP server with TLS: each once, whatever fails in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from beat.mailer import MailSender
from beat.smtp import MailServer
from cardshop.contract.errors import Conflict
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.mails import GIVE_UP_AFTER, LONGEST_HANDING_OVER, MailState
from scheduler.domain.orders import Order
from scheduler.domain.rights import Role
from scheduler.shop import mails, orders
from scheduler.shop.alarms import raise_alarm
from scheduler.store.database import DATABASE, connect, utc_now
from scheduler.store.store import Store
from tests.mail_server import PASSWORD, SENDER, USERNAME, RealMailServer
from tests.real_services import PATIENCE_SECONDS, RealMongod, RealRabbit
from tests.shop import Clock, a_draft, add_people, new_store
from tests.workers import ended, until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(mongod: RealMongod, clock: Clock) -> Store:
    store = new_store(mongod.uri, clock)
    add_people(store)
    return store


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[RealMailServer]:
    server = RealMailServer(tmp_path)
    server.start()
    yield server
    server.stop()


def one_look(store: Store, server: MailServer | None) -> float:
    """What a sender does between two rests."""
    return MailSender(store, server, "https://cards.example", threading.Event()).work()


@contextmanager
def sending(store: Store, server: MailServer, senders: int = 1) -> Iterator[None]:
    stopped = threading.Event()
    threads = [MailSender(store, server, "https://cards.example", stopped) for _ in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            ended(thread)


def place(store: Store, **draft: Any) -> Order:
    return orders.place(store, a_draft(**draft))


def states(store: Store) -> list[MailState]:
    return [mail.state for mail in store.mails.page(limit=1000)[0]]


def open_alarms(store: Store) -> list[tuple[AlarmKind, str]]:
    return [(alarm.kind, alarm.subject) for alarm in store.alarms.page(open_only=True)[0]]


def test_a_mail_arrives_over_tls_in_text_and_html_with_its_head(
    store: Store, mail_server: RealMailServer
) -> None:
    place(store)

    with sending(store, mail_server.settings()):
        until("it is sent", lambda: states(store) == [MailState.SENT])

    (received,) = mail_server.received
    (mail,), _ = store.mails.page()
    assert received.to == ("school@shop.example",)
    assert received.message["From"] == SENDER
    assert received.message["Auto-Submitted"] == "auto-generated"
    assert received.message["Message-ID"] == f"<{mail.id}@shop.example>"
    assert mail.words
    assert received.message["Subject"] == mail.words.subject == "Order 1 is accepted: Library"
    assert "2 cards (8 GB)" in received.text
    assert "<p" in received.html


def test_two_senders_send_each_mail_once(store: Store, mail_server: RealMailServer) -> None:
    for _ in range(30):
        place(store)

    with sending(store, mail_server.settings(), senders=2):
        until("all are sent", lambda: states(store) == [MailState.SENT] * 30)

    ids = [received.message_id for received in mail_server.received]
    assert len(ids) == 30
    assert len(set(ids)) == 30


def test_mails_wait_while_the_server_is_away_and_go_when_it_is_back(
    store: Store, mail_server: RealMailServer
) -> None:
    mail_server.stop()
    place(store)
    with sending(store, mail_server.settings()):
        until("the trouble is told", lambda: store.mails.sender()[1] != "")
        assert states(store) == [MailState.WAITING]

        mail_server.start()
        until("it is sent", lambda: states(store) == [MailState.SENT])

    assert len(mail_server.received) == 1
    assert store.mails.sender() == (True, "")


def test_a_server_that_stays_away_is_an_alarm_until_it_is_back(
    store: Store, mail_server: RealMailServer, clock: Clock
) -> None:
    mail_server.stop()
    one_look(store, mail_server.settings())
    assert open_alarms(store) == []

    clock.forward(timedelta(minutes=6))
    one_look(store, mail_server.settings())
    assert open_alarms(store) == [(AlarmKind.MAIL_SERVER_AWAY, mails.SERVER)]
    assert store.mails.page() == ([], 0)  # a mail about it could not be sent either

    mail_server.start()
    one_look(store, mail_server.settings())
    assert open_alarms(store) == []


@pytest.mark.parametrize(
    "changes",
    [{"ca_file": None}, {"host": "127.0.0.2"}, {"password": "wrong"}, {"implicit_tls": True}],
    ids=["unknown authority", "other host", "wrong password", "no TLS where it is expected"],
)
def test_nothing_is_handed_to_a_server_that_is_not_proven_or_lets_us_not_in(
    store: Store, mail_server: RealMailServer, changes: dict[str, Any]
) -> None:
    place(store)

    one_look(store, mail_server.settings(**changes))

    assert mail_server.received == []
    assert states(store) == [MailState.WAITING]
    assert store.mails.sender()[1] != ""


def test_a_mail_that_is_turned_down_for_now_is_tried_again_after_a_pause(
    store: Store, mail_server: RealMailServer, clock: Clock
) -> None:
    mail_server.answers.append("451 4.7.1 try again later")
    place(store)

    one_look(store, mail_server.settings())
    one_look(store, mail_server.settings())
    (mail,), _ = store.mails.page()
    assert (mail.state, mail.tries, mail.trouble) == (MailState.WAITING, 1, "451 4.7.1 try again later")
    assert mail_server.received == []

    clock.forward(timedelta(minutes=1))
    one_look(store, mail_server.settings())
    assert states(store) == [MailState.SENT]
    assert len(mail_server.received) == 1


def test_a_mail_that_is_turned_down_for_two_days_is_given_up(
    store: Store, mail_server: RealMailServer, clock: Clock
) -> None:
    mail_server.answers.extend(["451 later", "451 later"])
    place(store)

    one_look(store, mail_server.settings())
    clock.forward(GIVE_UP_AFTER + timedelta(minutes=1))
    one_look(store, mail_server.settings())

    (mail,), _ = store.mails.page()
    assert mail.state is MailState.FAILED
    assert open_alarms(store) == [(AlarmKind.MAIL_UNSENT, mail.id)]


def test_a_refused_mail_fails_with_an_alarm_and_holds_up_no_other(
    store: Store, mail_server: RealMailServer
) -> None:
    mail_server.refuses.add("school@shop.example")
    place(store, owner="client")

    one_look(store, mail_server.settings())

    (copy, refused), _ = store.mails.page()
    assert (refused.state, refused.trouble) == (MailState.FAILED, "550 5.1.1 no such mailbox")
    assert copy.state is MailState.SENT
    assert open_alarms(store) == [(AlarmKind.MAIL_UNSENT, refused.id)]


def test_a_failed_mail_that_is_sent_again_by_a_person_ends_its_alarm(
    store: Store, mail_server: RealMailServer
) -> None:
    mail_server.refuses.add("school@shop.example")
    place(store)
    one_look(store, mail_server.settings())
    (mail,), _ = store.mails.page()
    mail_server.refuses.clear()

    mails.send_again(store, mail.id, who="operator")
    one_look(store, mail_server.settings())

    assert states(store) == [MailState.SENT]
    assert open_alarms(store) == []
    with pytest.raises(Conflict):
        mails.send_again(store, mail.id, who="operator")


def test_an_answer_that_is_lost_leaves_the_mail_uncertain(store: Store, mail_server: RealMailServer) -> None:
    mail_server.hold()
    place(store)
    with sending(store, mail_server.settings()):
        assert mail_server.arrived.wait(PATIENCE_SECONDS)
        mail_server.break_lines()
        until("it is uncertain", lambda: states(store) == [MailState.UNCERTAIN])

    one_look(store, mail_server.settings())
    assert len(mail_server.received) == 1


def test_a_mail_without_a_mail_server_waits_and_that_is_told(store: Store) -> None:
    place(store)

    one_look(store, None)

    assert states(store) == [MailState.WAITING]
    assert store.mails.sender() == (False, "")


def test_a_mail_to_no_possible_address_fails_alone(store: Store, mail_server: RealMailServer) -> None:
    store.users.change("admin", {"email": "a,b@shop.example"})
    raise_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="writer-1", sentence="It is silent.")
    place(store)

    one_look(store, mail_server.settings())

    assert states(store) == [MailState.SENT, MailState.FAILED]


def test_a_sender_killed_while_it_hands_a_mail_over_leaves_it_to_a_person(
    mongod: RealMongod, rabbit: RealRabbit, mail_server: RealMailServer, tmp_path: Path, clock: Clock
) -> None:
    database = connect(mongod.uri)
    database.client.drop_database(DATABASE)
    store = Store(database, clock)
    store.prepare()
    store.users.add("admin", Role.ADMIN, "no password", email="admin@shop.example")
    raise_alarm(store, kind=AlarmKind.WORKER_SILENT, subject="writer-1", sentence="It is silent.")
    mail_server.hold()

    beat = start_beat(mongod, rabbit, mail_server, tmp_path)
    try:
        assert mail_server.arrived.wait(PATIENCE_SECONDS)
    finally:
        beat.send_signal(signal.SIGKILL)
        beat.wait()
    mail_server.let_go()
    (mail,), _ = store.mails.page()
    assert mail.state is MailState.HANDING_OVER

    # The sender's limit has not passed: another one leaves the mail alone.
    one_look(store, mail_server.settings())
    assert states(store) == [MailState.HANDING_OVER]
    clock.now = utc_now() + LONGEST_HANDING_OVER
    one_look(store, mail_server.settings())
    one_look(store, mail_server.settings())
    assert states(store) == [MailState.UNCERTAIN]
    assert (AlarmKind.MAIL_UNSENT, mail.id) in open_alarms(store)
    assert len(mail_server.received) == 1

    # A person decides: it is sent again, under the same Message-ID.
    mails.send_again(store, mail.id, who="admin")
    one_look(store, mail_server.settings())
    assert states(store) == [MailState.SENT]
    assert len({received.message_id for received in mail_server.received}) == 1


def start_beat(
    mongod: RealMongod, rabbit: RealRabbit, mail_server: RealMailServer, folder: Path
) -> subprocess.Popen[bytes]:
    password = folder / "mail.password"
    password.write_text(PASSWORD)
    settings = {
        "MONGO_URI_FILE": mongod.uri_file,
        "BROKER_HOST": rabbit.address.host,
        "BROKER_PORT": rabbit.address.port,
        "USERNAME": "beat",
        "PASSWORD_FILE": rabbit.password_file,
        "SECRET_KEY": "the tests' secret key, long enough for a seal",
        "CA_FILE": rabbit.ca_file,
        "SMTP_HOST": "localhost",
        "SMTP_PORT": mail_server.port,
        "SMTP_CA_FILE": mail_server.authority.certificate_file,
        "SMTP_USERNAME": USERNAME,
        "SMTP_PASSWORD_FILE": password,
        "MAIL_FROM": SENDER,
    }
    environment = {f"CARDSHOP_{name}": str(value) for name, value in settings.items()}
    with (folder / "beat.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "beat"],
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
