"""The API about mails: what operators see and decide, and what is nobody else's business."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from beat.mailer import MailSender
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.mails import Mail, MailEvent, MailState
from scheduler.mail.words import words_of
from scheduler.shop import mails, orders
from scheduler.shop.alarms import raise_alarm
from tests.api import Api, new_api
from tests.real_services import RealMongod
from tests.shop import a_draft


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


def a_mail(api: Api, state: MailState = MailState.WAITING) -> Mail:
    """A mail about a new order, moved on to ``state`` as its sender would."""
    order = orders.place(api.store, a_draft())
    (mail,), _ = api.store.mails.page(order_id=order.id)
    if state is MailState.WAITING:
        return mail
    claimed = api.store.mails.claim(mail, "beat", words_of(mail, ""), "<1@shop.example>")
    assert claimed
    match state:
        case MailState.UNCERTAIN:
            mails.lost_sight(api.store, claimed, "The line broke.")
        case MailState.FAILED:
            mails.refused(api.store, claimed, "550 no such mailbox")
        case MailState.SENT:
            mails.taken(api.store, claimed)
    return api.store.mails.get(mail.id)


@pytest.mark.parametrize("who", ["admin", "operator"])
def test_mails_are_listed_with_what_became_of_them(api: Api, who: str) -> None:
    sent = a_mail(api, MailState.SENT)
    waiting = a_mail(api)

    listed = api.get("/v1/mails", who=who)

    assert listed["total"] == 2
    assert [(mail["id"], mail["state"], mail["to"]) for mail in listed["items"]] == [
        (waiting.id, "waiting", "school@shop.example"),
        (sent.id, "sent", "school@shop.example"),
    ]
    assert listed["items"][0]["subject"] == "Order 2 is accepted: Library"
    assert listed["items"][0]["sent_at"] is None
    assert listed["items"][1]["sent_at"] is not None


def test_mails_are_found_by_state_and_by_order(api: Api) -> None:
    failed = a_mail(api, MailState.FAILED)
    a_mail(api)

    assert [mail["id"] for mail in api.get("/v1/mails?state=failed")["items"]] == [failed.id]
    assert [mail["id"] for mail in api.get(f"/v1/mails?order_id={failed.order_id}")["items"]] == [failed.id]


def test_a_mail_can_be_read_before_and_after_it_is_sent(api: Api) -> None:
    for mail in (a_mail(api), a_mail(api, MailState.SENT)):
        told = api.get(f"/v1/mails/{mail.id}")

        assert "2 cards (8 GB)" in told["text"]
        assert "<html" in told["html"]
        assert told["language"] == "en"


def test_it_is_told_whether_there_is_a_mail_server(api: Api) -> None:
    assert api.get("/v1/mails")["sending"] == {"configured": False, "trouble": ""}

    api.store.mails.tell_trouble("no answer")
    assert api.get("/v1/mails")["sending"] == {"configured": True, "trouble": "no answer"}

    MailSender(api.store, None, "", threading.Event()).work()
    assert api.get("/v1/mails")["sending"] == {"configured": False, "trouble": ""}


@pytest.mark.parametrize("state", [MailState.FAILED, MailState.UNCERTAIN])
def test_an_operator_sends_again_what_failed_or_is_uncertain(api: Api, state: MailState) -> None:
    mail = a_mail(api, state)

    told = api.post(f"/v1/mails/{mail.id}/resend", who="operator")

    assert told["state"] == "waiting"
    assert told["message_id"] == "<1@shop.example>"
    assert told["history"][-1]["who"] == "operator"
    assert api.get("/v1/alarms?open=true")["items"] == []
    assert api.call("POST", f"/v1/mails/{mail.id}/resend", who="operator").status == 409


@pytest.mark.parametrize("state", [MailState.FAILED, MailState.UNCERTAIN, MailState.WAITING])
def test_an_operator_dismisses_a_mail_that_need_not_be_sent(api: Api, state: MailState) -> None:
    mail = a_mail(api, state)

    assert api.post(f"/v1/mails/{mail.id}/dismissal", who="operator")["state"] == "dismissed"
    assert api.get("/v1/alarms?open=true")["items"] == []
    assert api.store.mails.due() is None


@pytest.mark.parametrize("intent", ["resend", "dismissal"])
def test_a_sent_mail_is_not_sent_again(api: Api, intent: str) -> None:
    mail = a_mail(api, MailState.SENT)

    assert api.call("POST", f"/v1/mails/{mail.id}/{intent}").status == 409
    assert api.store.mails.get(mail.id).state is MailState.SENT


@pytest.mark.parametrize("mail_id", ["nonsense", "0" * 24])
def test_a_mail_that_is_not_there_is_not_found(api: Api, mail_id: str) -> None:
    assert api.call("GET", f"/v1/mails/{mail_id}").status == 404
    assert api.call("POST", f"/v1/mails/{mail_id}/resend").status == 404


@pytest.mark.parametrize("who", ["client", "technician", "writer", "beat"])
def test_mails_are_read_and_decided_on_by_staff_only(api: Api, who: str) -> None:
    mail = a_mail(api, MailState.FAILED)

    assert api.call("GET", "/v1/mails", who=who).status == 403
    assert api.call("GET", f"/v1/mails/{mail.id}", who=who).status == 403
    assert api.call("POST", f"/v1/mails/{mail.id}/resend", who=who).status == 403


def test_a_slow_sender_that_was_given_up_still_tells_what_it_knows(api: Api) -> None:
    mail = a_mail(api)
    claimed = api.store.mails.claim(mail, "beat", words_of(mail, ""), "<1@shop.example>")
    assert claimed
    mails.lost_sight(api.store, claimed, "Its sender ended.")

    mails.taken(api.store, claimed)

    assert api.store.mails.get(mail.id).state is MailState.SENT
    assert api.get("/v1/alarms?open=true")["items"] == []


def test_a_slow_sender_does_not_undo_a_person_s_decision(api: Api) -> None:
    mail = a_mail(api)
    claimed = api.store.mails.claim(mail, "beat", words_of(mail, ""), "<1@shop.example>")
    assert claimed
    mails.lost_sight(api.store, claimed, "Its sender ended.")
    mails.dismiss(api.store, mail.id, who="operator")

    mails.taken(api.store, claimed)
    api.store.mails.settle(claimed, MailEvent.TURNED_DOWN, "later")

    assert api.store.mails.get(mail.id).state is MailState.DISMISSED


@pytest.mark.parametrize(
    ("asked", "recipe", "written"), [("es", "fr", "es"), ("", "fr", "fr"), ("", "sw", "en")]
)
def test_a_recipient_is_written_to_in_the_order_s_language_else_the_recipe_s(
    api: Api, asked: str, recipe: str, written: str
) -> None:
    draft = a_draft()
    resolved = replace(draft.resolved, recipe=replace(draft.resolved.recipe, language=recipe))
    recipient = replace(draft.recipient, language=asked)

    orders.place(api.store, replace(draft, resolved=resolved, recipient=recipient))

    assert api.get("/v1/mails")["items"][0]["language"] == written


def test_an_account_without_an_address_is_told_nothing_and_nothing_fails(api: Api) -> None:
    raise_alarm(api.store, kind=AlarmKind.WORKER_SILENT, subject="w", sentence="Silent.")

    assert api.get("/v1/mails")["total"] == 0
