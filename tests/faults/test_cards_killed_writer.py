"""The writer is killed with -9 at any moment: no half card looks finished, and the next try ends well."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cards import DIGEST, MIB, insert_card, looks_bootable, make_image, wrong_pieces
from tests.writers import start_writer


@pytest.mark.parametrize(
    "moment", ["write 65536", f"write {4 * MIB + 65536}", "read-back 65536", f"read-back {4 * MIB + 65536}"]
)
def test_a_killed_writer_leaves_an_unfinished_card_and_writes_it_the_next_time(
    tmp_path: Path, moment: str
) -> None:
    manifest = make_image(tmp_path / "cache" / DIGEST)
    card = insert_card(tmp_path / "slot")

    kill_at(start_writer(tmp_path, card.parent, "task-1", stops_at=moment), moment)
    looked_finished = looks_bootable(card)
    output, _ = start_writer(tmp_path, card.parent, "task-1").communicate(timeout=120)

    assert not looked_finished
    assert "written" in output.splitlines()
    assert wrong_pieces(card, manifest) == []


def test_killed_between_the_verdict_and_the_report_the_same_card_is_reported(tmp_path: Path) -> None:
    make_image(tmp_path / "cache" / DIGEST)
    card = insert_card(tmp_path / "slot")
    start_writer(tmp_path, card.parent, "task-1").communicate(timeout=120)
    written_at = card.stat().st_mtime_ns

    output, _ = start_writer(tmp_path, card.parent, "task-1").communicate(timeout=120)

    assert "written" in output.splitlines()
    assert "log This card was verified before the report got lost; it is read once more." in output
    assert card.stat().st_mtime_ns == written_at


def kill_at(process: subprocess.Popen[str], moment: str) -> None:
    """Kills the writer that stands still when it has told ``moment``."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == moment:
            break
    else:
        pytest.fail(f"the writer never came to {moment!r}")
    process.kill()
    process.communicate(timeout=120)
