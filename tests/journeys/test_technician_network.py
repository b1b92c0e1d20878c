"""The way to a real scheduler, broker and warehouse: each fault has its own verdict, and says what to do."""

from __future__ import annotations

import dataclasses
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.writer_host import ConfiguredSlot, Run, WriterHost
from tests.real_stack import RealStack
from writer_helper.network import examine
from writer_helper.verdicts import Mark, Verdict

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host(stack: RealStack, tmp_path_factory: pytest.TempPathFactory) -> WriterHost:
    """A host whose one writer has a good account."""
    password = secrets.token_urlsafe(32)
    stack.api("admin").post("/v1/users", {"username": "network-a", "password": password, "role": "writer"})
    slot = ConfiguredSlot("A", tmp_path_factory.mktemp("slot"), "network-a", password)
    broker = stack.stack.services.rabbit.address
    return WriterHost(stack.scheduler_url, stack.ca_file, broker, run=Run.PROCESS, slots=(slot,))


def verdicts_on(host: WriterHost, *, clock_off: float = 0.0) -> dict[str, Verdict]:
    return {verdict.subject: verdict for verdict in examine(host, lambda: time.time() + clock_off)}


def bad_ones(verdicts: dict[str, Verdict]) -> Iterator[str]:
    return (subject for subject, verdict in verdicts.items() if verdict.mark is Mark.BAD)


def test_all_is_good_where_all_is_well(host: WriterHost) -> None:
    verdicts = verdicts_on(host)

    assert {verdict.mark for verdict in verdicts.values()} == {Mark.GOOD}
    assert set(verdicts) == {
        "scheduler: name",
        "scheduler: port",
        "scheduler: TLS",
        "clock",
        "scheduler: login of network-a",
        "broker: name",
        "broker: port",
        "broker: TLS",
        "broker: login of network-a",
        "warehouse: name",
        "warehouse: port",
        "warehouse: TLS and login",
    }


def test_a_clock_that_is_off_is_told_with_how_much(host: WriterHost) -> None:
    verdicts = verdicts_on(host, clock_off=-3600)

    assert list(bad_ones(verdicts)) == ["clock"]
    assert "behind" in verdicts["clock"].sentence


def test_a_wrong_password_is_refused_by_scheduler_and_broker(host: WriterHost) -> None:
    [slot] = host.slots
    wrong = dataclasses.replace(slot, password="another password, and a wrong one")

    verdicts = verdicts_on(dataclasses.replace(host, slots=(wrong,)))

    assert list(bad_ones(verdicts)) == ["scheduler: login of network-a", "broker: login of network-a"]
    assert "enrol" in verdicts["scheduler: login of network-a"].hint
    assert wrong.password not in str(verdicts)


def test_an_account_of_another_kind_is_no_writer_s(host: WriterHost, stack: RealStack) -> None:
    operator = dataclasses.replace(host.slots[0], username="operator", password=stack.password("operator"))

    verdicts = verdicts_on(dataclasses.replace(host, slots=(operator,)))

    assert verdicts["scheduler: login of operator"].mark is Mark.BAD
    assert verdicts["broker: login of operator"].mark is Mark.BAD


def test_another_authority_s_certificate_is_told_from_a_broken_one(host: WriterHost, tmp_path: Path) -> None:
    other = Authority(tmp_path).certificate_file
    (tmp_path / "broken.pem").write_text("no certificate\n")

    foreign = verdicts_on(dataclasses.replace(host, ca_file=other))
    broken = verdicts_on(dataclasses.replace(host, ca_file=tmp_path / "broken.pem"))

    assert "scheduler: TLS" in bad_ones(foreign)
    assert "broker: TLS" in bad_ones(foreign)
    assert "ca_file" in foreign["scheduler: TLS"].hint
    assert list(broken) == ["authority"]


def test_a_name_that_nobody_knows_and_a_port_where_nobody_listens(host: WriterHost) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        closed = Address("127.0.0.1", listener.getsockname()[1])

        verdicts = verdicts_on(
            dataclasses.replace(host, scheduler_url="https://scheduler.invalid:8443", broker=closed)
        )

    assert list(bad_ones(verdicts)) == ["scheduler: name", "broker: port"]
    assert verdicts["warehouse"].mark is Mark.UNKNOWN


def test_a_port_without_tls_is_told(host: WriterHost, stack: RealStack) -> None:
    manager = stack.manager_url.removeprefix("http://")

    verdicts = verdicts_on(dataclasses.replace(host, scheduler_url=f"https://{manager}"))

    assert "scheduler: TLS" in bad_ones(verdicts)
    assert "TLS port" in verdicts["scheduler: TLS"].hint


def test_a_proxy_that_is_away_is_told(host: WriterHost) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"

        verdicts = verdicts_on(dataclasses.replace(host, proxy=proxy))

    assert next(bad_ones(verdicts)) == "proxy: port"


def test_without_an_account_the_way_is_tried_and_no_login(host: WriterHost) -> None:
    verdicts = verdicts_on(dataclasses.replace(host, slots=()))

    assert verdicts["broker: TLS"].mark is Mark.GOOD
    assert verdicts["accounts"].mark is Mark.WARNING
    assert not [subject for subject in verdicts if "login" in subject]
