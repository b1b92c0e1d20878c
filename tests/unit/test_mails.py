"""The words of mails are complete in every language, and the states of a mail allow no second sending."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from beat.settings import Settings, mail_server
from beat.smtp import sender_address
from cardshop.contract.errors import InvalidInput
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.mails import (
    LANGUAGES,
    LONGEST_PAUSE,
    MAIL_TABLE,
    Mail,
    MailEvent,
    MailKind,
    MailState,
    Reader,
    pause_after,
    readers,
    written_in,
)
from scheduler.mail.words import subject_of, texts, words_of
from scheduler.store.database import utc_now

FACTS: dict[str, Any] = {
    "number": 7,
    "recipe": "Library",
    "recipient": "School",
    "quantity": 2,
    "medium": "8 GB",
    "kept_until": "",
    "tracking": "X1",
    "sentence": "The card died.",
    "hint": "Take another.",
    "worker": "writer-1",
    "slot": "A",
    "unit": 1,
    "serial": "0xcafe",
    "alarm": "worker-silent",
    "subject": "writer-1",
    "path": "/orders/1",
}


def a_mail(kind: MailKind, language: str = "en", **facts: Any) -> Mail:
    return Mail("1", "cause", kind, Reader("ada@school.example", language), {**FACTS, **facts}, utc_now())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_lacks_a_text(language: str) -> None:
    there = texts(language)

    assert set(there) == {"shared", "alarms", *MailKind}
    assert set(there["alarms"]) == set(AlarmKind)
    for kind in ("shared", *MailKind):
        assert set(there[kind]) == set(texts("en")[kind]), kind
        assert all(text.strip() for text in there[kind].values()), kind


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MailKind)
def test_every_text_names_the_same_facts_in_each_language(kind: MailKind, language: str) -> None:
    def named(of: str) -> set[str]:
        return {name for text in texts(of)[kind].values() for name in re.findall(r"{{ (\w+) }}", text)}

    assert named(language) == named("en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MailKind)
@pytest.mark.parametrize("quantity", [0, 1, 2])
def test_each_mail_can_be_written_in_each_language(kind: MailKind, language: str, quantity: int) -> None:
    words = words_of(a_mail(kind, language, quantity=quantity), "https://cards.example")

    assert words.subject
    assert "{" not in words.subject + words.text + words.html
    assert texts(language)["shared"]["greeting"] in words.text
    assert f'lang="{language}"' in words.html
    if "link" in texts(language)[kind]:
        assert "https://cards.example/orders/1" in words.text
        assert 'href="https://cards.example/orders/1"' in words.html


def test_facts_are_escaped_in_html_and_plain_in_text() -> None:
    words = words_of(a_mail(MailKind.ORDER_ACCEPTED, recipe="<script>alert(1)</script> & co"), "")

    assert "<script>" not in words.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in words.html
    assert "<script>alert(1)</script> & co" in " ".join(words.text.split())


def test_a_fact_with_line_breaks_can_not_add_a_line_to_the_head() -> None:
    mail = a_mail(MailKind.ORDER_ACCEPTED, recipe="Library\r\nBcc: all@example.org")

    assert "\n" not in subject_of(mail)
    assert "\r" not in subject_of(mail)


@pytest.mark.parametrize("kind", [MailKind.ORDER_ACCEPTED, MailKind.ALARM_RAISED])
def test_a_mail_that_lacks_a_fact_has_a_subject_all_the_same(kind: MailKind) -> None:
    mail = Mail("1", "cause", kind, Reader("ada@school.example", "en"), {}, utc_now())

    assert subject_of(mail) == kind


def test_an_alarm_of_a_kind_without_a_text_is_told_all_the_same() -> None:
    words = words_of(a_mail(MailKind.ALARM_RAISED, "fr", alarm="never-heard-of"), "")

    assert "writer-1" in words.subject


def test_without_an_address_of_the_pages_there_is_no_link() -> None:
    words = words_of(a_mail(MailKind.ORDER_FAILED), "")

    assert "/orders/1" not in words.text + words.html


def test_nothing_leaves_sent_and_only_a_person_lets_an_uncertain_mail_be_sent() -> None:
    assert [move for move in MAIL_TABLE if move[0] is MailState.SENT] == []
    assert [move for move in MAIL_TABLE if move[0] is MailState.DISMISSED] == []
    back = {event for (state, event), to in MAIL_TABLE.items() if to is MailState.WAITING and state != to}
    assert back == {MailEvent.TURNED_DOWN, MailEvent.RESEND}
    assert MAIL_TABLE.get((MailState.UNCERTAIN, MailEvent.TURNED_DOWN)) is None
    assert MAIL_TABLE.get((MailState.UNCERTAIN, MailEvent.CLAIM)) is None
    assert MAIL_TABLE.get((MailState.HANDING_OVER, MailEvent.CLAIM)) is None


def test_pauses_grow_to_an_hour_and_no_further() -> None:
    assert [pause_after(tries) for tries in (1, 2, 3)] == [timedelta(minutes=m) for m in (1, 2, 4)]
    assert pause_after(500) == LONGEST_PAUSE


def test_an_address_is_told_once_and_one_that_is_missing_not_at_all() -> None:
    people = [
        ("Ada@x.example", "fr"),
        (None, "en"),
        ("", "en"),
        ("ada@x.example", "en"),
        ("b@x.example", "bm"),
    ]

    assert readers(people) == [Reader("Ada@x.example", "fr"), Reader("b@x.example", "en")]


def test_a_reader_of_a_language_without_texts_gets_english() -> None:
    assert [written_in(language) for language in ("es", "sw", "")] == ["es", "en", "en"]


@pytest.mark.parametrize(
    "text", ["", "Cardshop", "a@b@c", "Cards <cards>", "Cards <a@x.example>, <b@x.example>"]
)
def test_a_sender_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Name <name@host>"):
        sender_address(text)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"mail_from": ""}, "CARDSHOP_MAIL_FROM"),
        ({"smtp_tls": "none"}, "CARDSHOP_SMTP_TLS"),
        ({"smtp_username": "cards"}, "CARDSHOP_SMTP_PASSWORD_FILE"),
    ],
)
def test_wrong_settings_of_mails_name_the_variable(changes: dict[str, str], names: str) -> None:
    with pytest.raises(InvalidInput, match=names):
        mail_server(settings(**changes))


def test_without_a_host_there_is_no_mail_server() -> None:
    assert mail_server(settings(smtp_host="")) is None


def settings(**changes: Any) -> Settings:
    fields: dict[str, Any] = {
        "mongo_uri": "mongodb://x",
        "broker_host": "x",
        "broker_port": 1,
        "username": "beat",
        "password": "x",
        "secret_key": "x",
        "ca_file": None,
        "smtp_host": "mail.example",
        "mail_from": "Cards <cards@shop.example>",
    }
    return Settings(**{**fields, **changes})
