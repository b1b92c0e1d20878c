"""The configuration that writers read and writer-helper edits: one definition for both."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cardshop import writer_host
from cardshop.contract.errors import Conflict, InvalidInput, NotFound
from cardshop.settings import Address
from tests.writer_hosts import GOOD, PASSWORD, write_configuration
from writer.settings import read
from writer_helper.configuration import TEMPLATE, Configuration

NEW = {
    "scheduler.url": "https://scheduler.test:8443",
    "scheduler.ca_file": "/ca.pem",
    "broker.host": "rabbit.test",
}


def test_a_good_file_says_what_a_writer_needs() -> None:
    host = writer_host.parse(GOOD)

    assert host.scheduler_url == "https://scheduler.test:8443"
    assert host.broker == Address("rabbit.test", 5671)
    assert host.slot("A").username == "rack-1-a"


@pytest.mark.parametrize(
    ("old", "new", "field", "what"),
    [
        ('url = "https://', 'url = "http://', "scheduler.url", "must be like https://"),
        ("https://scheduler", "https://me:secret@scheduler", "scheduler.url", "must be like https://"),
        ('ca_file = "/etc', 'ca_file = "etc', "scheduler.ca_file", "absolute"),
        ('ca_file = "/etc/cardshop/ca.pem"', "", "scheduler.ca_file", "is missing"),
        ('host = "rabbit.test"', 'host = "rabbit.test"\nport = "5671"', "broker.port", "a whole number"),
        ('host = "rabbit.test"', 'host = "rabbit.test"\nport = 70000', "broker.port", "between 1 and 65535"),
        ('host = "rabbit.test"', 'host = "rabbit.test:5671"', "broker.host", "nothing more"),
        ('run = "process"', 'run = "cron"', "writers.run", "docker, systemd, process"),
        ('run = "process"', 'runs = "process"', "writers.runs", "not known"),
        ('name = "A"', 'name = "the left one"', "slots[1].name", "1 to 16 letters"),
        ('username = "rack-1-a"', 'username = "Rack 1"', "slots[1].username", "small letters"),
        ('username = "rack-1-a"', "", "slots[1].username", "an account needs both"),
        ("[[slots]]", "[slots]", "slots", "a list of tables"),
    ],
)
def test_a_fault_is_told_with_the_name_of_its_field(old: str, new: str, field: str, what: str) -> None:
    assert old in GOOD

    with pytest.raises(InvalidInput) as raised:
        writer_host.parse(GOOD.replace(old, new))

    assert raised.value.field == field
    assert f"{field}: " in raised.value.sentence
    assert what in raised.value.sentence


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as raised:
        writer_host.parse("[scheduler]\n[[slots]]\n")

    for field in ("scheduler.url", "scheduler.ca_file", "broker.host", "slots[1].name", "slots[1].path"):
        assert field in raised.value.sentence


@pytest.mark.parametrize("key", ["name", "path", "username"])
def test_two_slots_share_neither_name_nor_place_nor_account(key: str) -> None:
    second = {"name": "B", "path": "/slots/b", "username": "rack-1-b"}
    second[key] = {"name": "A", "path": str(writer_host.parse(GOOD).slots[0].path), "username": "rack-1-a"}[
        key
    ]
    lines = "".join(f'{name} = "{value}"\n' for name, value in second.items())

    with pytest.raises(InvalidInput) as raised:
        writer_host.parse(f'{GOOD}\n[[slots]]\n{lines}password = "another"\n')

    assert raised.value.field == f"slots[2].{key}"
    assert "slots[1]" in raised.value.sentence


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    path.chmod(0o644)

    with pytest.raises(InvalidInput) as raised:
        writer_host.load(path)

    assert "chmod 600" in raised.value.hint


def test_the_writer_takes_its_settings_from_the_file(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    settings = read({"CARDSHOP_CONFIGURATION": str(path), "CARDSHOP_SLOT": "A"})

    assert settings.username == "rack-1-a"
    assert settings.password == PASSWORD
    assert settings.broker_port == 5671
    assert settings.cache == Path("/var/lib/cardshop/images")
    assert settings.slot_path.name.endswith("scsi-0:0:0:0")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    settings = read(
        {"CARDSHOP_CONFIGURATION": str(path), "CARDSHOP_SLOT": "A", "CARDSHOP_LOG_LEVEL": "DEBUG"}
    )

    assert settings.log_level == "DEBUG"


def test_a_writer_without_a_slot_of_the_file_says_which_there_are(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    with pytest.raises(NotFound, match="there are: A"):
        read({"CARDSHOP_CONFIGURATION": str(path), "CARDSHOP_SLOT": "B"})


def test_a_new_configuration_is_documented_private_and_good(tmp_path: Path) -> None:
    configuration = Configuration(tmp_path / "etc" / "writers.toml")

    configuration.create(NEW)

    assert configuration.path.stat().st_mode & 0o777 == 0o600
    assert configuration.read().broker.host == "rabbit.test"
    comments = [line for line in TEMPLATE.splitlines() if line.startswith("#")]
    assert set(comments) <= set(configuration.path.read_text().splitlines())


def test_every_field_of_the_configuration_is_documented() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "technician.md").read_text()

    for table, fields in tomllib.loads(TEMPLATE).items():
        names = [f"{table}.{field}" for field in fields] if isinstance(fields, dict) else [table]
        for name in names:
            assert f"`{name}`" in guide, name


def test_a_wrong_value_makes_no_file(tmp_path: Path) -> None:
    configuration = Configuration(tmp_path / "writers.toml")

    with pytest.raises(InvalidInput):
        configuration.create({**NEW, "scheduler.url": "scheduler.test"})

    assert list(tmp_path.iterdir()) == []


def test_a_second_new_does_not_overwrite_the_first(tmp_path: Path) -> None:
    configuration = Configuration(write_configuration(tmp_path))

    with pytest.raises(Conflict):
        configuration.create(NEW)

    assert configuration.path.read_text() == GOOD


def test_edits_keep_comments_and_all_else(tmp_path: Path) -> None:
    configuration = Configuration(write_configuration(tmp_path))

    configuration.set({"broker.port": 5672})
    configuration.put_slot("B", Path("/slots/b"))
    configuration.put_accounts({"B": ("rack-1-b", "x")})
    configuration.remove_slot("B")

    expected = GOOD.replace('host = "rabbit.test"\n', 'host = "rabbit.test"\nport = 5672\n')
    assert configuration.path.read_text().split() == expected.split()
    assert configuration.path.stat().st_mode & 0o777 == 0o600


def test_the_last_slot_can_go_and_another_come(tmp_path: Path) -> None:
    configuration = Configuration(write_configuration(tmp_path))

    configuration.remove_slot("A")
    host = configuration.put_slot("C", Path("/slots/c"))

    assert [slot.name for slot in host.slots] == ["C"]


def test_an_edit_that_would_make_it_wrong_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    configuration = Configuration(write_configuration(tmp_path))

    with pytest.raises(InvalidInput, match=r"writers\.run"):
        configuration.set({"writers.run": "cron"})

    assert configuration.path.read_text() == GOOD


def test_a_slot_that_moves_keeps_its_account(tmp_path: Path) -> None:
    configuration = Configuration(write_configuration(tmp_path))

    host = configuration.put_slot("A", Path("/slots/a"))

    assert host.slot("A").path == Path("/slots/a")
    assert host.slot("A").password == PASSWORD


def test_a_device_that_is_allowed_at_one_place_is_not_at_the_next(tmp_path: Path) -> None:
    configuration = Configuration(write_configuration(tmp_path))

    allowed = configuration.put_slot("A", Path("/slots/a"), fixed_device="Generic MassStorage")
    moved = configuration.put_slot("A", Path("/slots/b"))

    assert allowed.slot("A").fixed_device == "Generic MassStorage"
    assert moved.slot("A").fixed_device == ""
