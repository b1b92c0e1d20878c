"""A card of the real base that was started: its own system has written to it, and it can still be judged."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cardshop.card_check import Verdict
from cardshop.machines import PC, command
from cardshop.programs import find, run
from cardshop.stack.ports import free_port
from cardshop.virtual_machine import wait_for_answer
from tests.boot.real_bases import build_card
from tests.written_cards import SHOP, Written, write_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BOOT_SECONDS = 400.0


def test_a_started_card_is_used_and_damage_of_its_contents_still_shows(tmp_path: Path) -> None:
    built, data_offset = build_card(tmp_path, "amd64")
    card = write_image(tmp_path / "card", built, SHOP)
    assert card.check().verdict is Verdict.GOOD

    start(card, tmp_path)

    finding = card.check()
    assert finding.verdict is Verdict.USED, finding
    assert not [path for path in finding.broken if path.startswith(("/data/", "/boot/firmware/"))]
    inside = next(chunk for chunk in card.manifest.chunks if chunk.offset > data_offset + 64 * 4096)
    card.flip(inside.offset + 7, 3)
    assert card.check().verdict is Verdict.DAMAGED


def start(card: Written, folder: Path) -> None:
    """Starts the card itself, no copy of it, until its library answers; then its power is cut."""
    port, log = free_port(), folder / "serial.log"
    run(["truncate", "-s", "4G", card.path], timeout=30)  # a card is larger than its image
    with command(PC, card.path, http_port=port, serial_log=log) as argv:
        words = [re.sub(r"^file=[^,]+,format=qcow2", f"file={card.path},format=raw", word) for word in argv]
        words[0] = find(words[0])
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                wait_for_answer(process, port, log, BOOT_SECONDS)
            finally:
                process.kill()
