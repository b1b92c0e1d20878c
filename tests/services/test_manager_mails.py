"""The manager's pages about mails, the order slip, and where mails to a user go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scheduler.domain.mails import Mail, MailState
from scheduler.domain.orders import Order
from scheduler.mail.words import words_of
from scheduler.shop import mails, orders
from tests.api import Api, new_api
from tests.manager_pages import Visitor, manager_of
from tests.real_services import RealMongod
from tests.shop import a_draft


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


@pytest.fixture
def manager(api: Api, tmp_path: Path) -> Iterator[FlaskClient]:
    with manager_of(api, tmp_path, pages_url="https://cards.example/") as client:
        yield client


def uncertain_mail(api: Api) -> Mail:
    order = orders.place(api.store, a_draft())
    (mail,), _ = api.store.mails.page(order_id=order.id)
    claimed = api.store.mails.claim(mail, "beat", words_of(mail, ""), "<1@shop.example>")
    assert claimed
    mails.lost_sight(api.store, claimed, "Its sender ended.")
    return mail


def place(api: Api) -> Order:
    return orders.place(api.store, a_draft())


def test_the_page_says_that_there_is_no_mail_server_and_shows_what_is_kept(
    api: Api, manager: FlaskClient
) -> None:
    place(api)

    page = Visitor(manager, "operator").get("/mails")

    assert "No mail server is set up" in page.text
    row = page.root.all("tr")[1].text
    assert "Order 1 is accepted: Library" in row
    assert "school@shop.example English Waiting" in row


def test_the_page_says_why_mails_can_not_be_sent_now(api: Api, manager: FlaskClient) -> None:
    api.store.mails.tell_trouble("mail.example:587: no answer within the time")

    page = Visitor(manager, "operator").get("/mails")

    assert "no answer within the time" in page.root.one("p", role="alert").text


def test_a_person_reads_an_uncertain_mail_and_sends_it_again(api: Api, manager: FlaskClient) -> None:
    mail = uncertain_mail(api)
    visitor = Visitor(manager, "operator")

    page = visitor.get(f"/mails/{mail.id}")
    assert "It may have arrived." in page.text
    assert "2 cards (8 GB)" in page.root.one("pre").text
    after = visitor.send(page, f"/mails/{mail.id}/resend")

    assert "The mail is on its way again." in after.text
    assert api.store.mails.get(mail.id).state is MailState.WAITING


def test_a_person_leaves_an_uncertain_mail_unsent(api: Api, manager: FlaskClient) -> None:
    mail = uncertain_mail(api)
    visitor = Visitor(manager, "operator")

    visitor.send(visitor.get(f"/mails/{mail.id}"), f"/mails/{mail.id}/dismissal")

    assert api.store.mails.get(mail.id).state is MailState.DISMISSED


def test_mails_are_found_by_state_and_from_their_order(api: Api, manager: FlaskClient) -> None:
    mail = uncertain_mail(api)
    other = place(api)
    visitor = Visitor(manager, "operator")

    found = visitor.get("/mails?state=uncertain")
    assert [link.attributes["href"] for link in found.root.all("a") if link.text.startswith("Order ")] == [
        f"/mails/{mail.id}"
    ]
    assert f"/mails?order={other.id}" in visitor.get(f"/orders/{other.id}").html
    assert "Order 1" not in visitor.get(f"/mails?order={other.id}").root.one("table").text


def test_a_client_is_shown_no_mails(api: Api, manager: FlaskClient) -> None:
    visitor = Visitor(manager, "client")

    assert visitor.get("/mails").status == 403
    assert "/mails" not in visitor.get("/orders").html


def test_the_slip_has_the_recipient_the_cards_and_the_order_s_address_as_a_code(
    api: Api, manager: FlaskClient
) -> None:
    order = place(api)

    page = Visitor(manager, "operator").get(f"/orders/{order.id}/slip")

    assert "School" in page.root.one("article").text
    assert "1 of 2" in page.root.one("table").text
    assert f"https://cards.example/orders/{order.id}" in page.text
    assert page.root.one("svg").all("path")
    assert " style=" not in page.html
    assert "the slip is not ready" in page.text


def test_an_admin_says_where_mails_to_a_user_go_and_in_which_language(api: Api, manager: FlaskClient) -> None:
    visitor = Visitor(manager, "admin")
    page = visitor.get("/users")

    after = visitor.send(page, "/users/technician/mails", email="tech@shop.example", language="fr")

    assert "Mails to technician go to tech@shop.example." in after.text
    kept = api.store.users.get("technician")
    assert (kept.email, kept.language) == ("tech@shop.example", "fr")


def test_an_address_that_is_none_is_told_and_not_kept(api: Api, manager: FlaskClient) -> None:
    visitor = Visitor(manager, "admin")

    after = visitor.send(visitor.get("/users"), "/users/technician/mails", email="nobody", language="fr")

    assert "technician:" in after.text
    assert api.store.users.get("technician").email is None
