"""The technician's tool as scripts call it: a process for each step, JSON and exit statuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.writer_hosts import PASSWORD, helper, told, write_configuration

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
    log = helper(path, "logs", "A", "--lines", "500").stdout
    assert told(path, "stop") == {"stopped": ["A"]}
    stopped = told(path, "status", status=1)

    assert first[0]["running"]
    assert again[0]["writer"] == first[0]["writer"]
    assert "event='starting'" in log
    assert PASSWORD not in log
    assert not stopped[0]["running"]


@pytest.mark.parametrize(
    "words", [(), ("slots",), ("configure",), ("configure", "new"), ("start",), ("logs",)]
)
def test_each_command_explains_itself(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = helper(tmp_path, *words, "--help") if words else helper(tmp_path, "--help")

    assert "usage: writer-helper" in done.stdout
