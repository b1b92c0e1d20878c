"""An image goes onto the cards while it arrives on the host, once for all of the host's writers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardshop.contract.tasks import WarehouseAccess
from cardshop.image_format import CHUNK_BYTES, Manifest
from tests.cards import insert_card, looks_bootable, wrong_pieces
from tests.lines import ProneLine
from tests.warehouses import DIGEST, IMAGE_BYTES, MIB, RealWarehouse, make_image, real_warehouse, silent
from tests.writers import start_writer

OTHER_TRAFFIC_BYTES = 3 * MIB
"""TLS, the documents, and the image's one short hole."""

SOME = 10 * MIB
"""Of the image: its head and at least one chunk more have arrived then, and at least one hasn't."""


@dataclass(frozen=True)
class Host:
    """A host of writers, and its line to a warehouse that keeps the image."""

    folder: Path
    warehouse: RealWarehouse
    line: ProneLine
    manifest: Manifest

    def card(self, slot: str) -> Path:
        return insert_card(self.folder / slot, f"card-{slot}", IMAGE_BYTES)

    def start(self, card: Path) -> subprocess.Popen[str]:
        token = self.warehouse.scheduler.token("download")
        access = WarehouseAccess("127.0.0.1", self.warehouse.port, token, "2030-01-01T00:00:00Z")
        ca_file = str(self.warehouse.ca_file)
        return start_writer(self.folder, card.parent, card.name, DIGEST, access, ca_file)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with _host(tmp_path) as here:
        yield here


@contextmanager
def _host(folder: Path) -> Iterator[Host]:
    with real_warehouse(folder, host="127.0.0.2") as warehouse, ProneLine(warehouse) as line:
        manifest = make_image(folder / "built")
        with warehouse.client("upload") as client:
            client.upload(DIGEST, folder / "built", silent)
        line.carried = 0
        yield Host(folder, warehouse, line, manifest)


def read_until(writer: subprocess.Popen[str], beginning: str) -> None:
    assert writer.stdout is not None
    for line in writer.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"the writer never said {beginning!r}")


def test_two_writers_of_a_host_download_an_image_once(host: Host) -> None:
    cards = [host.card("A"), host.card("B")]

    writers = [host.start(card) for card in cards]
    outputs = [writer.communicate(timeout=120)[0] for writer in writers]

    assert all("written" in output.splitlines() for output in outputs)
    assert [wrong_pieces(card, host.manifest) for card in cards] == [[], []]
    assert host.line.carried < host.manifest.mapped_bytes + OTHER_TRAFFIC_BYTES


def test_what_has_arrived_is_on_the_card_before_the_rest_comes_and_the_head_is_not(host: Host) -> None:
    card = host.card("A")
    host.line.hold_after(SOME)

    writer = host.start(card)
    read_until(writer, f"write {CHUNK_BYTES}")
    read_until(writer, "download ")
    on_the_way = [
        chunk.offset for chunk in host.manifest.chunks if chunk.offset in wrong_pieces(card, host.manifest)
    ]
    looked_finished = looks_bootable(card)
    host.line.hold_after(None)
    output, _ = writer.communicate(timeout=120)

    assert host.manifest.chunks[0].offset in on_the_way
    assert host.manifest.chunks[1].offset not in on_the_way
    assert host.manifest.chunks[-1].offset in on_the_way
    assert not looked_finished
    assert "written" in output.splitlines()
    assert wrong_pieces(card, host.manifest) == []


def test_when_the_writer_that_downloads_is_killed_another_goes_on_where_it_was(host: Host) -> None:
    first, second = host.card("A"), host.card("B")
    host.line.hold_after(SOME)
    downloading = host.start(first)
    host.line.wait_until_held()
    waiting = host.start(second)
    read_until(waiting, f"write {CHUNK_BYTES}")

    downloading.kill()
    downloading.communicate(timeout=120)
    host.line.hold_after(None)
    output, _ = waiting.communicate(timeout=120)
    again, _ = host.start(first).communicate(timeout=120)

    assert "written" in output.splitlines()
    assert "written" in again.splitlines()
    assert [wrong_pieces(card, host.manifest) for card in (first, second)] == [[], []]
    assert host.line.carried < host.manifest.mapped_bytes + OTHER_TRAFFIC_BYTES + CHUNK_BYTES


def test_a_download_that_breaks_off_while_a_card_is_written_goes_on(host: Host) -> None:
    card = host.card("A")
    host.line.hold_after(SOME)
    writer = host.start(card)
    read_until(writer, f"write {CHUNK_BYTES}")

    host.line.cut()
    host.line.hold_after(None)
    output, _ = writer.communicate(timeout=120)

    assert "written" in output.splitlines()
    assert wrong_pieces(card, host.manifest) == []
    assert host.line.carried < host.manifest.mapped_bytes + OTHER_TRAFFIC_BYTES + CHUNK_BYTES


def test_a_chunk_that_arrives_wrong_never_reaches_the_card(host: Host) -> None:
    card = host.card("A")
    wrong = host.manifest.chunks[-1]
    with (host.warehouse.images / f"{DIGEST}.img").open("r+b") as image:
        image.seek(wrong.offset + 5)
        image.write(b"wrong")

    writer = host.start(card)
    output, _ = writer.communicate(timeout=120)

    assert writer.returncode != 0
    assert "written" not in output.splitlines()
    assert card.read_bytes()[wrong.offset : wrong.end] == b"\xff" * wrong.length
    assert not looks_bootable(card)
