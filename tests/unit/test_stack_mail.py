"""A stack that is told of a mail server tells beat of it; one that is not sends nothing."""

from __future__ import annotations

from pathlib import Path

from beat.settings import Settings, mail_server
from cardshop.settings import Address, load
from cardshop.stack.mail import StackMail
from cardshop.stack.stack import Stack


def beat_s_settings(folder: Path, mail: StackMail | None) -> Settings:
    stack = Stack(folder / "stack", mail=mail)
    service = next(each for each in stack.services.all() if each.name == "beat")
    return load(Settings, service.environment)


def test_beat_gets_the_mail_server_that_the_stack_is_pointed_to(tmp_path: Path) -> None:
    ca_file, password = tmp_path / "ca.pem", tmp_path / "password"
    password.write_text("the password\n")

    server = mail_server(
        beat_s_settings(tmp_path, StackMail(Address("localhost", 2525), ca_file, "cards", password))
    )

    assert server
    assert (server.host, server.port, server.ca_file) == ("localhost", 2525, ca_file)
    assert (server.username, server.password) == ("cards", "the password")
    assert server.sender.addr_spec == "cards@cardshop.example"


def test_without_one_beat_has_no_mail_server(tmp_path: Path) -> None:
    assert mail_server(beat_s_settings(tmp_path, None)) is None
