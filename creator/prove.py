"""Proves a built image and lists what is in it: file systems, every content, every piece of the block map."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from cardshop.contract.errors import ContentDamaged, ImageDamaged
from cardshop.contract.events import Phase
from cardshop.fit import Layout
from cardshop.image_format import FILES_FILE, MANIFEST_FILE, PASSPORT_FILE, ContentEntry, Manifest
from creator.image.assemble import Card
from creator.image.block_map import checksum, mapped_ranges
from creator.image.card_documents import place_of, write_manifest
from creator.image.proof import check_file_systems, read_files
from creator.image.tree import File, Tree
from creator.meter import Meter
from creator.plan import ImagePlan, Observe


def prove(drafted: Manifest, parts: Layout, image: Path, card: Card, observe: Observe) -> Manifest:
    """Reads the whole image: as file systems by other programs, and piece by piece for the block map.

    What it finds is the manifest, which is put into its place in the image.

    Args:
        drafted: its manifest as far as it was known before, from :func:`draft`.
        parts: where its partitions are.
        image: the image file; it is on the disk afterwards, not only in memory.
        card: what was put in beside the base.
        observe: told of the progress.

    Raises:
        ContentDamaged: a content has other bytes than were ordered, where it was copied from already.
        ImageDamaged: something else in the image is not what was put in.
    """
    ranges = mapped_ranges(image, parts)
    mapped_bytes = sum(item.length for item in ranges)
    contents = sum(file.size_bytes for file in card.tree.files)
    meter = Meter(Phase.CHECK, contents + mapped_bytes, observe)
    check_file_systems(image, parts, None if card.configuration is None else card.configuration_path)
    documents = (MANIFEST_FILE, PASSPORT_FILE, FILES_FILE)
    own, passport, listing = (place_of(image, file) for file in documents)
    with ThreadPoolExecutor(2, thread_name_prefix="proof") as aside:
        written = aside.submit(_write_out, image)
        read = aside.submit(_read_contents, card.tree, image, parts, meter)
        chunks = checksum(image, ranges, (own, passport, listing), meter.add)
        read.result()
        written.result()
    manifest = replace(
        drafted, mapped_bytes=mapped_bytes, chunks=chunks, own=own, passport=passport, files=listing
    )
    manifest = write_manifest(image, manifest)
    _write_out(image)
    meter.finish()
    return manifest


def draft(plan: ImagePlan, sbom_sha256: str) -> Manifest:
    """The manifest of the plan's image, as far as it is known before the image is there."""
    return Manifest(
        digest=plan.digest,
        bytes=plan.size_bytes,
        mapped_bytes=0,
        chunks=(),
        contents=tuple(
            ContentEntry(content.ident, content.file, content.size_bytes, content.sha256)
            for content in plan.contents
        ),
        base=plan.base,
        sbom_sha256=sbom_sha256,
    )


def _read_contents(tree: Tree, image: Path, parts: Layout, meter: Meter) -> None:
    files = {file.path: file for file in tree.files}
    for path, sha256 in read_files(image, parts.data_offset, tuple(files), meter.count):
        if sha256 != files[path].sha256:
            _blame(files[path])


def _blame(file: File) -> None:
    """Says whether the image or what it was made from is wrong."""
    is_sound = True
    if isinstance(file.source, Path):
        with file.source.open("rb") as stream:
            is_sound = hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    if is_sound:
        raise ImageDamaged(f"{file.path} read out of the image is not what was put in.")
    raise ContentDamaged(f"The bytes of {file.path} are not those that were ordered.", field=file.ident)


def _write_out(image: Path) -> None:
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
