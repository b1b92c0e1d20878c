from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cardshop.contract.errors import Conflict, InvalidInput, NotFound
from cardshop.private_files import write_private
from cardshop.stack.cards import Cards
from cardshop.stack.folder import StackFolder
from cardshop.stack.ports import LOOPBACK, PASSIVE_PORTS, free_port, is_free, kept_ports, require_free
from cardshop.stack.supervisor import Supervisor, required_plain

CARD_BYTES = 7_948_206_080


def test_a_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = StackFolder(tmp_path / "stack").secret("admin.password").read_text()

    path = StackFolder(tmp_path / "stack").secret("admin.password")

    assert path.read_text() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_secrets_differ(tmp_path: Path) -> None:
    folder = StackFolder(tmp_path / "stack")

    assert folder.secret("a").read_text() != folder.secret("b").read_text()


def test_a_private_file_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "settings"

    write_private(path, "long text")
    write_private(path, "short")

    assert path.read_text() == "short"
    assert list(tmp_path.iterdir()) == [path]


def test_ports_are_chosen_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    first = kept_ports(path, ["mongod", "scheduler"])

    second = kept_ports(path, ["mongod", "scheduler", "manager"])

    assert second.items() > first.items()
    assert json.loads(path.read_text()) == {"ports": second}


def test_no_port_lies_among_the_warehouses_passive_ports(tmp_path: Path) -> None:
    ports = kept_ports(tmp_path / "stack.json", ["warehouse-passive", *map(str, range(20))])

    first = ports.pop("warehouse-passive")

    assert not set(ports.values()) & set(range(first, first + PASSIVE_PORTS))
    assert len(set(ports.values())) == 20


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    port = free_port()  # that no client's socket takes meanwhile
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(Conflict, match=rf"scheduler \({port}\)"),
    ):
        require_free({"scheduler": port}, tmp_path / "stack.json")
    assert is_free(port)


def test_a_card_goes_into_its_slot_and_onto_the_shelf_with_what_is_on_it(tmp_path: Path) -> None:
    cards = Cards(StackFolder(tmp_path), ("A", "B"))
    card = cards.insert("A", CARD_BYTES)
    with card.path.open("r+b") as file:
        file.write(b"written")

    shelved = cards.remove("A")

    assert cards.card_in("A") is None
    assert (shelved.serial, shelved.size_bytes) == (card.serial, CARD_BYTES)
    assert shelved.path.open("rb").read(7) == b"written"


def test_a_slot_takes_one_card(tmp_path: Path) -> None:
    cards = Cards(StackFolder(tmp_path), ("A", "B"))
    card = cards.insert("A", CARD_BYTES)

    with pytest.raises(Conflict, match=card.serial):
        cards.insert("A", CARD_BYTES)


def test_a_slot_that_is_empty_or_unknown_is_told(tmp_path: Path) -> None:
    cards = Cards(StackFolder(tmp_path), ("A", "B"))

    with pytest.raises(NotFound, match="no card in slot B"):
        cards.remove("B")
    with pytest.raises(NotFound, match="no slot C"):
        cards.insert("C", CARD_BYTES)


def test_a_folder_too_deep_for_a_socket_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        Supervisor(StackFolder(tmp_path / ("x" * 100)))


@pytest.mark.parametrize("name", ['with "quotes"', "with;semicolon", "with#hash"])
def test_a_folder_that_supervisord_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="can't live"):
        required_plain(tmp_path / name)
