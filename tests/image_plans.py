"""Factories of what a creator is given: contents on a mirror, a plan, the folders."""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any

from cardshop.contract.tasks import BaseReference, Content
from cardshop.fit import MIB
from creator.build import PROOFS, build
from creator.limits import memory
from creator.mirrors import Web
from creator.plan import ImagePlan, Places
from tests.mirror import Mirror
from tests.tiny_base import make_tiny_base

IMAGE_BYTES = 640 * MIB
"""The tiny base and 96 MiB of data partition."""

LOOPBACK = frozenset({"127.0.0.1"})
WEB = Web(LOOPBACK, stall_seconds=120.0)
"""So patient that no mirror of a test is left because this host is busy."""


def make_content(mirror: Mirror, file: str, data: bytes, **changes: Any) -> Content:
    """A content that ``mirror`` serves."""
    mirror.files[file] = data
    values: dict[str, Any] = {
        "ident": f"cardshop:{file}:",
        "title": f"Title of {file}",
        "language": "eng",
        "file": file,
        "url": mirror.url(file),
        "mirrors": (),
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Content(**(values | changes))


def make_places(folder: Path) -> Places:
    """Empty folders for a creator, and a tiny base."""
    bases = make_tiny_base(folder / "bases")
    return Places(bases, folder / "cache", folder / "work", WEB)


def make_plan(places: Places, *contents: Content, **changes: Any) -> ImagePlan:
    """A plan of these contents on the tiny base."""
    base = json.loads((places.bases / "cardshop-amd64.json").read_text())
    values: dict[str, Any] = {
        "digest": hashlib.sha256(repr(contents).encode()).hexdigest(),
        "size_bytes": IMAGE_BYTES,
        "base": BaseReference("cardshop-amd64", base["sha256"]),
        "contents": contents,
        "card_configuration": {
            "version": 1,
            "name": "École",
            "ssid": "Bibliothèque",
            "language": "fr",
            "wifi_passphrase": "a secret of the card",
        },
    }
    return ImagePlan(**(values | changes))


def left_behind(work: Path) -> set[str]:
    """Names of the files that builds left in the work folder, but locks and proofs of base images."""
    files = (path for path in work.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.name for path in files if path.parent.name != PROOFS}


def change_in(image: Path, data: bytes, start: int = 0) -> None:
    """Damages the image where ``data`` first is, from ``start`` on."""
    with image.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        offset = mapped.find(data, start)
        assert offset >= 0, "the image doesn't hold that"
        mapped[offset] ^= 0xFF


def build_within(plan: ImagePlan, bases: Path, cache: Path, work: Path, memory_bytes: int) -> None:
    """Builds with so much memory; for a process of its own. Raises LimitReached."""
    with memory(memory_bytes):
        build(plan, Places(bases, cache, work, WEB), lambda *_: None)
