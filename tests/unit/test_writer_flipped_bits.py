"""Not one flipped bit goes unseen."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

from cardshop.contract.errors import CardFailed
from tests.cards import IMAGE_BYTES, insert_card, make_image, wrong_pieces
from writer import guard
from writer.card import CardImage
from writer.image_source import ImageSource
from writer.passport import CardContent
from writer.slots import VirtualSlot

FLIPS = 500


def test_500_bits_flipped_on_a_written_card_before_its_read_back_are_all_found(tmp_path: Path) -> None:
    manifest = make_image(tmp_path / "image")
    path = insert_card(tmp_path / "slot")
    inserted = VirtualSlot("A", tmp_path / "slot").inserted()
    assert inserted
    source = random.Random(500)  # noqa: S311 - test data
    places = [offset for chunk in manifest.chunks for offset in range(chunk.offset, chunk.end, 4096)]
    found = 0

    with (
        guard.opened(inserted, IMAGE_BYTES) as card,
        contextlib.closing(ImageSource(tmp_path / "image", manifest)) as image,
        path.open("r+b", buffering=0) as behind,
    ):
        on_card = CardImage(card, CardContent(manifest, None), image)
        on_card.write(_ignore)
        for _flip in range(FLIPS):
            offset, bit = source.choice(places) + source.randrange(4096), 1 << source.randrange(8)
            _flip_bit(behind.fileno(), offset, bit)
            try:
                on_card.read_back(_ignore)
            except CardFailed:
                found += 1
            _flip_bit(behind.fileno(), offset, bit)
        on_card.read_back(_ignore)

    assert found == FLIPS
    assert wrong_pieces(path, manifest) == []


def _flip_bit(descriptor: int, offset: int, bit: int) -> None:
    byte = os.pread(descriptor, 1, offset)[0]
    os.pwrite(descriptor, bytes([byte ^ bit]), offset)


def _ignore(_done: int, _total: int) -> None:
    pass
