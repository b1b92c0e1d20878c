"""What is signed of images and cards: old cards are checked by new programs, so the text never changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardshop.contract.errors import MessageRejected
from cardshop.contract.passports import CardStatement, ImageStatement, Passport, Signed

IMAGE, MANIFEST = "0f" * 32, "1e" * 32
CARD = CardStatement(order=12, unit=3, units=40, task="task-1", attempt=2, image=IMAGE, manifest=MANIFEST)
PASSPORT = Passport(
    order=12,
    unit=3,
    units=40,
    task="task-1",
    attempt=2,
    image=IMAGE,
    manifest=MANIFEST,
    serial="SD 32 GB, n° 1",
    size=31_272_730_624,
    verified=600_000_000,
    at="2026-01-02T03:04:05Z",
    slot="A",
    writer="writer-1",
    host="rack-1",
    write_median=20_000_000,
    write_worst=17_500_000,
    read_median=40_000_000,
    read_worst=39_000_000,
    retries=1,
)
TEXT = f"order 12\nunit 3\nunits 40\ntask task-1\nattempt 2\nimage {IMAGE}\nmanifest {MANIFEST}\n"
CARD_TEXT = f"cardshop card 1\n{TEXT}"
PASSPORT_TEXT = (
    f"cardshop passport 1\n{TEXT}"
    "serial SD 32 GB, n%C2%B0 1\nsize 31272730624\nverified 600000000\nat 2026-01-02T03:04:05Z\nslot A\n"
    "writer writer-1\nhost rack-1\nwrite_median 20000000\nwrite_worst 17500000\nread_median 40000000\n"
    "read_worst 39000000\nretries 1\n"
)


def test_statements_have_the_text_that_they_always_had() -> None:
    assert ImageStatement(IMAGE, MANIFEST).to_statement() == f"cardshop image 1\n{IMAGE}\n{MANIFEST}\n"
    assert CARD.to_statement() == CARD_TEXT
    assert PASSPORT.to_statement() == PASSPORT_TEXT


def test_statements_are_read_as_they_were_written() -> None:
    assert CardStatement.from_statement(CARD_TEXT) == CARD
    assert Passport.from_statement(PASSPORT_TEXT) == PASSPORT


@given(st.text(), st.text())
def test_no_serial_number_or_host_can_pass_for_a_line_of_its_own(serial: str, host: str) -> None:
    passport = replace(
        PASSPORT, serial=serial.encode(errors="replace").decode(), host=host.encode(errors="replace").decode()
    )

    statement = passport.to_statement()

    assert len(statement.splitlines()) == len(PASSPORT_TEXT.splitlines())
    assert statement.isascii()
    assert Passport.from_statement(statement) == passport


@pytest.mark.parametrize(
    "text",
    [
        "",
        CARD_TEXT.replace("card 1", "card 2"),
        CARD_TEXT.replace("order 12\n", ""),
        CARD_TEXT.replace("order 12", "order -12"),
        CARD_TEXT.replace("order 12", "order twelve"),
        CARD_TEXT.replace("order 12", f"order {'9' * 5000}"),
        PASSPORT_TEXT,
    ],
)
def test_what_is_no_statement_of_a_card_is_refused(text: str) -> None:
    with pytest.raises(MessageRejected):
        CardStatement.from_statement(text)


def test_a_signed_statement_is_one_line_of_json() -> None:
    signed = Signed("key-1", CARD_TEXT, "c2lnbmF0dXJl")

    assert "\n" not in signed.to_text()
    assert Signed.from_text(f" {signed.to_text()}\n\n") == signed
    for text in ("", "[]", "{}", '{"key": 1, "statement": "", "signature": ""}'):
        with pytest.raises(MessageRejected):
            Signed.from_text(text)
