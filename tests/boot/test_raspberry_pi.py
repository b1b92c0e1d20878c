"""A card of the real arm64 base, started on the two boards that stand for a Raspberry Pi (make boot-arm64).

The serial logs stay in ``var/boot``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cardshop.machines import RASPI3B, VIRT, Machine
from cardshop.virtual_machine import boot
from creator.boot_proof import books_in, check_book, check_console, checked_portal
from creator.booted_card import BootedCard
from tests.boot.real_bases import CONFIGURATION, ZIMS, build_card

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

LOGS = Path(__file__).parents[2] / "var" / "boot"
BOOT_SECONDS = 900.0
"""An emulated Pi 3 takes a minute or two on a host that has nothing else to do."""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An image, and where its data partition begins."""
    built, data_offset = build_card(tmp_path_factory.mktemp("card"), "arm64")
    LOGS.mkdir(parents=True, exist_ok=True)
    return built.image, data_offset


@pytest.mark.parametrize("machine", [VIRT, RASPI3B], ids=lambda machine: machine.name)
def test_a_card_for_a_raspberry_pi_gives_all_that_was_ordered(
    card: tuple[Path, int], machine: Machine
) -> None:
    image, data_offset = card
    books = books_in(image, data_offset)
    assert len(books) == len(ZIMS)

    log = LOGS / f"{machine.name}.log"
    with boot(image, serial_log=log, timeout=BOOT_SECONDS, machine=machine) as running:
        name = f"{CONFIGURATION['hostname']}.{CONFIGURATION['domain']}"
        check_console(running, CONFIGURATION, name)
        guest = BootedCard(running.port, name)
        portal = checked_portal(guest)
        for book in books:
            check_book(guest, portal, book)
