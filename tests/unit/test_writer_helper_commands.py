"""The technician's tool as scripts call it: a process for each step, JSON and exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from defusedxml.ElementTree import parse

from tests.real_stack import wait_until
from tests.writer_hosts import PASSWORD, helper, told, write_configuration
from writer_helper import cli

NEW = (
    "configure",
    "new",
    "--scheduler",
    "https://localhost:1",
    "--ca-file",
    "/ca.pem",
    "--broker",
    "localhost",
)


def test_a_script_makes_a_configuration_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "writers.toml"

    told(path, *NEW, "--run", "process", "--data", str(tmp_path / "data"))
    told(path, "configure", "slot", "A", str(tmp_path / "slot-a"), "--virtual")
    told(path, "configure", "account", "A", "rack-1-a", typed=f"{PASSWORD}\n")

    shown = told(path, "configure", "show")
    assert shown["broker.port"] == 5671
    assert shown["slots"] == [
        {"name": "A", "path": str(tmp_path / "slot-a"), "username": "rack-1-a", "password": "[hidden]"}
    ]
    assert told(path, "configure", "check") == {"good": True, "slots": 1, "without_account": []}


def test_no_command_shows_a_password(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    for words in (("configure", "show"), ("configure", "check"), ("slots",)):
        for form in ((), ("--json",)):
            done = helper(path, *words, *form)
            assert PASSWORD not in done.stdout + done.stderr


def test_slots_lists_virtual_slots_with_their_cards_and_missing_ones(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    for name in ("B", "C"):
        helper(path, "configure", "slot", name, str(tmp_path / name), "--virtual")
    with (tmp_path / "B" / "card-1").open("wb") as card:
        card.truncate(7_948_206_080)

    slots = {slot["name"]: slot for slot in told(path, "slots") if slot["name"]}

    assert not slots["A"]["there"]
    assert (slots["B"]["card_bytes"], slots["B"]["virtual"]) == (7_948_206_080, True)
    assert (slots["C"]["card_bytes"], slots["C"]["there"]) == (0, True)


def test_an_error_tells_a_script_its_code_and_field_and_a_person_what_to_do(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    error = told(path, "configure", "set", "broker.port", "0", status=65)
    said = helper(path, "configure", "set", "broker.port", "0", status=65).stderr

    assert (error["code"], error["field"]) == ("invalid-input", "broker.port")
    assert "broker.port: must be between 1 and 65535" in said


def test_without_a_configuration_the_error_names_the_command_that_makes_one(tmp_path: Path) -> None:
    said = helper(tmp_path / "none.toml", "start", status=66).stderr

    assert "writer-helper configure new" in said


def test_a_writer_without_an_account_is_not_started_nor_any_other(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    told(path, "configure", "set", "writers.data", str(tmp_path / "data"))
    told(path, "configure", "slot", "B", str(tmp_path / "B"), "--virtual")

    error = told(path, "start", status=65)

    assert error["field"] == "slots[2].username"
    assert not (tmp_path / "data").exists()


def test_a_writer_that_does_not_stay_up_is_told_with_its_last_words(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    told(path, "configure", "set", "writers.data", str(tmp_path / "data"))
    told(path, "configure", "set", "writers.python", "/bin/false")

    error = told(path, "start", status=69)

    assert "slot A did not stay up" in error["sentence"]


def test_writers_run_on_after_the_command_and_end_at_stop(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    told(path, "configure", "set", "writers.data", str(tmp_path / "data"))
    told(path, "configure", "set", "scheduler.url", "https://localhost:1")
    told(path, "configure", "set", "broker.host", "localhost")

    assert told(path, "start") == {"running": ["A"]}
    first = told(path, "status")
    told(path, "start")
    again = told(path, "status")
    wait_until("the writer has begun", lambda: "event='starting'" in logged(path), 120)
    log = logged(path)
    assert told(path, "stop") == {"stopped": ["A"]}
    stopped = told(path, "status", status=1)

    assert first[0]["running"]
    assert again[0]["writer"] == first[0]["writer"]
    assert PASSWORD not in log
    assert not stopped[0]["running"]


def logged(configuration: Path) -> str:
    """What the writer of slot A said."""
    return helper(configuration, "logs", "A", "--lines", "500").stdout


@pytest.mark.parametrize(
    "words", [(), ("slots",), ("configure",), ("configure", "new"), ("start",), ("logs",)]
)
def test_each_command_explains_itself(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = helper(tmp_path, *words, "--help") if words else helper(tmp_path, "--help")

    assert "usage: writer-helper" in done.stdout


def test_the_place_where_a_card_appears_gets_the_next_letter(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    for name in ("left", "right"):
        (tmp_path / "slots" / name).mkdir(parents=True)
    (tmp_path / "slots" / "left" / "inside-before").write_bytes(bytes(1000))

    with naming(path, tmp_path / "slots") as tool:
        insert(tmp_path / "slots" / "right")
        named = json.loads(tool.communicate(timeout=120)[0])

    assert named["name"] == "B"
    assert (named["path"], named["card_bytes"]) == (str(tmp_path / "slots" / "right"), 2000)
    assert [slot["name"] for slot in told(path, "configure", "show")["slots"]] == ["A", "B"]


def test_a_slot_that_has_a_letter_gets_no_other(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    (tmp_path / "slots" / "left").mkdir(parents=True)
    told(path, "configure", "slot", "B", str(tmp_path / "slots" / "left"))

    with naming(path, tmp_path / "slots") as tool:
        insert(tmp_path / "slots" / "left")
        error = json.loads(tool.communicate(timeout=120)[0])

    assert (tool.returncode, error["code"]) == (75, "conflict")
    assert "slot B already" in error["sentence"]


def test_nobody_waits_longer_than_asked_for_a_card(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)

    error = told(path, "name", "--folder", str(tmp_path), "--wait", "1", status=69)

    assert "within 1 s" in error["sentence"]


def test_labels_are_a_picture_with_each_letter(tmp_path: Path) -> None:
    path = write_configuration(tmp_path)
    told(path, "configure", "slot", "B", str(tmp_path / "<b>"))

    told(path, "labels", "--output", str(tmp_path / "labels.svg"), "--host", "rack-1")

    texts = [
        element.text for element in parse(tmp_path / "labels.svg").iter() if element.tag.endswith("text")
    ]
    assert texts == ["A", "rack-1", "pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0", "B", "rack-1", "<b>"]


def insert(slot: Path) -> None:
    """A card of 2000 bytes, whole when it appears."""
    (slot / ".card-1").write_bytes(bytes(2000))
    (slot / ".card-1").rename(slot / "card-1")


@contextmanager
def naming(configuration: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The tool, once it waits for a card."""
    words = ["name", "--json", "--folder", str(folder), "--configuration", str(configuration)]
    tool = subprocess.Popen(
        [sys.executable, "-m", "writer_helper", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tool.stderr
        assert "Put a card" in tool.stderr.readline()
        yield tool
    finally:
        tool.kill()
        tool.wait()


def test_the_guide_s_commands_exist() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "technician.md").read_text()
    commands = [
        line.partition("#")[0].split() for line in guide.splitlines() if line.startswith("writer-helper ")
    ]

    for words in commands:
        assert cli.parser().parse_args(words[1:])
    assert len(commands) > 5
