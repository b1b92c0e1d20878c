"""Proves an image and lists what is in it: file systems, every content, every piece of the block map."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from cardshop.contract.errors import ContentDamaged, ImageDamaged
from cardshop.contract.events import Phase
from cardshop.fit import Layout
from cardshop.image_format import (
    FILES_FILE,
    MANIFEST_FILE,
    PASSPORT_FILE,
    Chunk,
    ContentEntry,
    Manifest,
    Range,
)
from creator.image.assemble import Card
from creator.image.block_map import checksum, mapped_ranges, split
from creator.image.card_documents import place_of, write_manifest
from creator.image.filling import Filling, FillingEnded
from creator.image.proof import FoundFile, check_file_systems, read_files
from creator.image.tree import File, Tree
from creator.meter import Meter
from creator.plan import ImagePlan, Observe


def prove_contents(
    image: Path,
    ranges: Sequence[Range],
    found: Sequence[FoundFile],
    tree: Tree,
    filling: Filling,
    observe: Observe,
) -> tuple[Chunk, ...]:
    """Proves the files while they come into the image, each where another program found it there.

    Args:
        image: the image file.
        ranges: of which the chunks are wanted.
        found: where the tree's files are in the image.
        tree: what is put in beside the base.
        filling: how far it is.
        observe: told of the bytes that were read, once all is in the image: it is one phase at a time.

    Returns:
        The chunks of the ranges.

    Raises:
        ContentDamaged: a content has other bytes than were ordered, where it was copied from already.
        FillingEnded: not all comes.
        ImageDamaged: a file in the image is not what was put in.
    """

    def tell(phase: Phase, done: int, total: int, unit: str) -> None:
        if filling.is_finished:
            observe(phase, done, total, unit)

    files = sum(file.size_bytes for file in tree.files)
    meter = Meter(Phase.CHECK, files + sum(item.length for item in ranges), tell)
    with ThreadPoolExecutor(1, thread_name_prefix="proof") as aside:
        read = aside.submit(_read_contents, tree, image, found, filling, meter.count)
        try:
            chunks = checksum(image, ranges, meter.add, ready=filling.wait_for)
        except FillingEnded:
            read.result()  # may say why
            raise
        read.result()
    meter.finish()
    return chunks


def prove(drafted: Manifest, parts: Layout, image: Path, card: Card, chunks: tuple[Chunk, ...]) -> Manifest:
    """Has the file systems checked by other programs, and completes the manifest in its place in the image.

    Args:
        drafted: its manifest as far as it was known before, from :func:`draft`.
        parts: where its partitions are.
        image: the image file, full; it is on the disk afterwards, not only in memory.
        card: what was put in beside the base.
        chunks: of all that lies behind the boot partition, from :func:`prove_contents`.

    Raises:
        ImageDamaged: something in the image is not what was put in.
    """
    check_file_systems(image, parts, None if card.configuration is None else card.configuration_path)
    documents = (MANIFEST_FILE, PASSPORT_FILE, FILES_FILE)
    own, passport, listing = (place_of(image, file) for file in documents)
    ranges, _ = split(mapped_ranges(image, parts), parts.root_offset)
    first = checksum(image, ranges, lambda _count: None, apart=(own, passport, listing))
    every = (*first, *chunks)
    mapped_bytes = sum(chunk.length for chunk in every)
    manifest = replace(
        drafted, mapped_bytes=mapped_bytes, chunks=every, own=own, passport=passport, files=listing
    )
    manifest = write_manifest(image, manifest)
    _write_out(image)
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


def _read_contents(
    tree: Tree, image: Path, found: Sequence[FoundFile], filling: Filling, observe: Callable[[int], None]
) -> None:
    files = {file.path: file for file in tree.files}
    try:
        for path, sha256 in read_files(image, found, observe, filling.wait_for):
            if sha256 != files[path].sha256:
                _blame(files[path])
    except BaseException:
        filling.stop()  # nobody needs the rest
        raise


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
