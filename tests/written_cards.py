"""Factory of written cards: an image of the real creator, with a passport in its place."""

from __future__ import annotations

import base64
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardshop.card_check import Finding, check_card
from cardshop.contract.events import Phase
from cardshop.contract.passports import CardStatement, Signed
from cardshop.image_format import Manifest
from cardshop.open_card import opened_card
from cardshop.programs import run
from cardshop.signatures import PublicKeys
from creator.build import build
from creator.plan import BuiltImage
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.zims import make_zim
from writer.passport import content_of_card

BLOCK = 4096


@dataclass(frozen=True)
class Shop:
    """Someone who signs cards."""

    name: str
    key: Ed25519PrivateKey

    def sign(self, statement: str) -> Signed:
        return Signed(self.name, statement, base64.b64encode(self.key.sign(statement.encode())).decode())

    def public(self, folder: Path) -> PublicKeys:
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        path = folder / f"{self.name}.keys"
        path.write_text(json.dumps({"items": [{"key": self.name, "public_pem": pem.decode()}]}))
        return PublicKeys.from_file(path)


SHOP = Shop("shop", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
ANOTHER = Shop("another", Ed25519PrivateKey.from_private_bytes(b"2" * 32))


@dataclass
class Written:
    """A card as a writer leaves it."""

    path: Path
    manifest: Manifest
    keys: PublicKeys

    def check(self) -> Finding:
        with opened_card(self.path) as card:
            return check_card(card.read, self.keys, lambda _done, _total: None)

    def flip(self, offset: int, bit: int) -> None:
        with self.path.open("r+b", buffering=0) as file:
            byte = os.pread(file.fileno(), 1, offset)[0]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), offset)


def _unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass


def build_zim_image(folder: Path, title: str) -> BuiltImage:
    places = make_places(folder)
    names = ("large.zim", "été.zim")
    noise = random.Random(title)  # noqa: S311 - test data
    files = {"filler": noise.randbytes(9_000_000)}
    zims = [
        make_zim(folder / "large.zim", title, files=files).read_bytes(),
        make_zim(folder / "small.zim", title, articles=5).read_bytes(),
    ]
    with serve_mirror() as mirror:
        contents = [make_content(mirror, name, zim) for name, zim in zip(names, zims, strict=True)]
        return build(make_plan(places, *contents), places, _unseen)


def write_image(path: Path, image: BuiltImage, shop: Shop, passport: Signed | None = None) -> Written:
    run(["cp", "--sparse=always", image.image, path], timeout=120)
    manifest = Manifest.from_file(image.manifest)
    stated = CardStatement(12, 3, 40, "task-1", 1, manifest.digest, image.manifest_sha256)
    signed = shop.sign(stated.to_statement())
    content = content_of_card(manifest, image.manifest_sha256, signed).passport
    if passport is not None:
        content = f"{passport.to_text()}\n".encode().ljust(BLOCK, b"\n")
    assert manifest.passport
    assert content
    with path.open("r+b") as file:
        file.seek(manifest.passport.offset)
        file.write(content)
    return Written(path, manifest, SHOP.public(path.parent))
