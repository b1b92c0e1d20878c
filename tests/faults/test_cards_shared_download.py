"""Two writers of a host need the same image at once: it crosses the network once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardshop.contract.tasks import WarehouseAccess
from tests.cards import insert_card, wrong_pieces
from tests.warehouses import DIGEST, IMAGE_BYTES, RealWarehouse, make_image, real_warehouse, silent
from tests.writers import start_writer


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[RealWarehouse]:
    with real_warehouse(tmp_path) as running:
        yield running


def test_two_writers_download_an_image_once(warehouse: RealWarehouse, tmp_path: Path) -> None:
    manifest = make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    token = warehouse.scheduler.token("download")
    access = WarehouseAccess("127.0.0.1", warehouse.port, token, "2030-01-01T00:00:00Z")
    cards = [insert_card(tmp_path / slot, slot, IMAGE_BYTES) for slot in ("slot-A", "slot-B")]

    writers = [
        start_writer(tmp_path, card.parent, card.name, DIGEST, access, str(warehouse.ca_file))
        for card in cards
    ]
    outputs = [writer.communicate(timeout=120)[0] for writer in writers]

    assert all("written" in output.splitlines() for output in outputs)
    assert [wrong_pieces(card, manifest) for card in cards] == [[], []]
    downloading = [output for output in outputs if re.search(r"^download [1-9]", output, re.MULTILINE)]
    assert len(downloading) == 1
