"""Cards that come back: with an image of the real creator on them, rewritten by the writer's work."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from cardshop.contract.events import CardWritten
from cardshop.contract.passports import CardStatement
from cardshop.image_format import Chunk, Manifest
from creator.plan import BuiltImage
from tests.cards import Listener, claim_of, write_task
from tests.written_cards import SHOP, Written, write_image
from writer.aside import Aside
from writer.history import SpeedHistory
from writer.image_cache import ImageCache
from writer.ledger import Ledger
from writer.slots import VirtualSlot
from writer.work import Workplace, write_card


def returned_card(folder: Path, image: BuiltImage) -> Written:
    """A card with the image, in the virtual slot of ``folder``."""
    card = write_image(folder / "card-1", image, SHOP)
    (folder / "slot").mkdir()
    return replace(card, path=card.path.rename(folder / "slot" / "card-1"))


def rewrite(folder: Path, image: BuiltImage, listener: Listener) -> CardWritten:
    """The writer's work with the card in the slot."""
    manifest = Manifest.from_file(image.manifest)
    cached = folder / "cache" / manifest.digest
    cached.mkdir(parents=True)
    for file in (image.image, image.manifest):
        os.link(file, cached / f"{manifest.digest}{file.suffix}")
    place = Workplace(
        slot=VirtualSlot("A", folder / "slot"),
        ledger=Ledger(folder / "state"),
        cache=ImageCache(folder / "cache", 10**12),
        ca_file=Path(certifi.where()),
        speeds=SpeedHistory(folder / "speeds.json"),
        aside=Aside(45.0),
        pause=lambda _seconds: pytest.fail(listener.waits[-1]),
    )
    stated = CardStatement(13, 1, 1, "task-1", 1, manifest.digest, image.manifest_sha256)
    task = write_task(digest=manifest.digest, size=manifest.bytes)
    claim = claim_of(task, passport=SHOP.sign(stated.to_statement()))
    return write_card(place, task, claim, listener)


def chunks_in_common(one: BuiltImage, other: BuiltImage) -> set[Chunk]:
    manifests = [Manifest.from_file(image.manifest) for image in (one, other)]
    return set.intersection(
        *({chunk for chunk in manifest.chunks_of_every_card() if chunk.offset} for manifest in manifests)
    )
