"""A base image: ``NAME.img`` and the manifest ``NAME.json`` that says what it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cardshop.contract import wire
from cardshop.contract.errors import ImageDamaged, MessageRejected, NotFound
from cardshop.contract.tasks import BaseReference
from cardshop.fit import BOOT_BYTES, BOOT_OFFSET
from cardshop.image_format import Range
from creator.base.manifest import VERSION, BaseManifest
from creator.image.copying import Piece


@dataclass(frozen=True)
class BaseImage:
    """A base image on disk."""

    image: Path
    manifest: BaseManifest

    @property
    def built_at(self) -> int:
        """When it was built, seconds since 1970: the date of all that is added to it."""
        return int(datetime.fromisoformat(self.manifest.built).timestamp())


def open_base(folder: Path, reference: BaseReference) -> BaseImage:
    """The base image that ``reference`` names; whether its bytes are right, its proof says.

    Args:
        folder: where NAME.img and NAME.json lie.
        reference: the name and the SHA-256 that the recipe was resolved with.

    Raises:
        NotFound: there is none of that name.
        ImageDamaged: it is another build, or was changed.
    """
    image, manifest_file = folder / f"{reference.name}.img", folder / f"{reference.name}.json"
    if not (image.is_file() and manifest_file.is_file()):
        raise NotFound(
            f"This creator has no base image named {reference.name}.",
            hint="Build the base image or copy it to this creator's folder of base images.",
        )
    manifest = _read(manifest_file)
    if manifest.sha256 != reference.sha256:
        raise ImageDamaged(
            f"The base image {reference.name} here is not the one that the order was placed with.",
            hint="Register this creator's base image with the scheduler, then order again.",
        )
    if manifest.boot_bytes != BOOT_BYTES or manifest.bytes < BOOT_OFFSET + BOOT_BYTES + manifest.root_bytes:
        raise ImageDamaged(f"The base image {reference.name} has partitions that a card can't have.")
    if image.stat().st_size != manifest.bytes:
        raise was_changed(manifest)
    return BaseImage(image, manifest)


def check_base(base: BaseImage) -> None:
    """Reads every byte of the base image.

    Raises:
        ImageDamaged: it was changed.
    """
    with base.image.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != base.manifest.sha256:
            raise was_changed(base.manifest)


def copy_range(source: int, target: int, wanted: Range) -> None:
    """Copies a range's data from one file to the same place in another; holes stay holes.

    Args:
        source: descriptor of the file to read.
        target: descriptor of the file to write, which has a hole there.
        wanted: what to copy.

    Raises:
        ImageDamaged: the source is shorter.
    """
    for piece in _data(source, wanted):
        os.lseek(target, piece.offset, os.SEEK_SET)
        offset = piece.offset
        while offset < piece.end:
            sent = os.sendfile(target, source, offset, piece.end - offset)
            if not sent:
                raise ImageDamaged("The base image ends before its partitions do.")
            offset += sent


def data_pieces(base: BaseImage, wanted: Iterable[Range]) -> Iterator[Piece]:
    """What is to be copied of the ranges of the base to the same places of an image: all but holes."""
    descriptor = os.open(base.image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for item in wanted:
            for place in _data(descriptor, item):
                yield Piece(base.image, place.offset, place, was_changed(base.manifest))
    finally:
        os.close(descriptor)


def _data(descriptor: int, wanted: Range) -> Iterator[Range]:
    offset = wanted.offset
    while offset < wanted.end:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        offset = min(os.lseek(descriptor, start, os.SEEK_HOLE), wanted.end)
        if start < offset:
            yield Range(start, offset - start)


def _read(path: Path) -> BaseManifest:
    try:
        data = json.loads(path.read_bytes())
        manifest = wire.from_wire(BaseManifest, data)
        datetime.fromisoformat(manifest.built)
    except (ValueError, MessageRejected) as error:
        raise ImageDamaged(f"{path.name} is no base image's manifest.", hint="Build it again.") from error
    if manifest.version != VERSION:
        raise ImageDamaged(f"{path.name} has version {manifest.version}; this program reads {VERSION}.")
    return manifest


def was_changed(manifest: BaseManifest) -> ImageDamaged:
    """The error that says so."""
    return ImageDamaged(f"The base image {manifest.name} was changed.", hint="Build it again.")
