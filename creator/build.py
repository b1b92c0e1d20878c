"""Builds one image from a plan: fetch the contents, put the image together, prove it.

While the contents are copied into the image, what has arrived there is read back and checked.
What a killed build leaves is used or removed by the next: contents in the cache are gone on with, an image
under its final name is whole, and a part of an image is thrown away.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from cardshop.contract.errors import ContentDamaged, DoesNotFit, InvalidInput
from cardshop.contract.events import Phase
from cardshop.contract.tasks import DIRECT, Content
from cardshop.fit import MIB, Layout, forecast, layout
from cardshop.image_format import FILES_FILE, MANIFEST_FILE, PASSPORT_FILE, BlockMap, Manifest, merge
from creator.books import check_zim
from creator.cache import Cache
from creator.card import card_of, check_plan, inline_bytes, is_offspot
from creator.card_names import ZIM_SUFFIX, with_card_names
from creator.fetch import fetch
from creator.image.assemble import Card, assemble
from creator.image.base_image import BaseImage, data_pieces, open_base
from creator.image.base_proof import (
    BaseProof,
    base_ranges,
    check_boot_files,
    check_copied,
    proof_of,
    prove_base,
)
from creator.image.bill import image_bill
from creator.image.block_map import ext4_ranges, last_block
from creator.image.boot_partition import write_configuration
from creator.image.card_documents import reserve
from creator.image.copying import Piece, copied_meanwhile
from creator.image.filling import Filling, FillingEnded
from creator.image.proof import find_files
from creator.meter import Meter
from creator.mirrors import Web
from creator.plan import BuiltImage, ImagePlan, Observe, Places
from creator.prove import draft, prove, prove_contents
from creator.space import full_disk_told, space_for
from creator.work_folder import WorkFolder, part, sweep, work_folder

PROOFS = "bases"
"""The folder in the work folder that keeps what was found of base images."""

log = structlog.get_logger(__name__)


def build(plan: ImagePlan, places: Places, observe: Observe) -> BuiltImage:
    """Builds the image of ``plan``, or finds it built.

    Raises:
        InvalidInput, DoesNotFit: no such image can be made.
        LimitReached: it needs more disk than ``places`` allows.
        NoSpace: the work folder or the cache has too little room.
        MirrorRefused, ContentDamaged: a content can't be had, or isn't what was ordered.
        NotFound: this creator has no such base image.
        ImageDamaged: the base is not sound, or the image failed its proof; nothing is left of it.
    """
    with (
        full_disk_told(places.work, places.cache),
        work_folder(places.work, plan.digest) as folder,
        full_disk_told(places.work, places.cache),  # before what was built is removed: that makes room
    ):
        sweep(places.work)
        if not is_offspot(plan):
            plan = with_card_names(plan)
        manifest = folder.finished()
        seconds: dict[str, float] = {}
        if manifest is None:
            folder.clear()
            manifest = _build_anew(plan, places, folder, observe, seconds)
        else:
            folder.clear_parts()
            log.info("image was built before", image=plan.digest)
        return BuiltImage(
            image=folder.image,
            block_map=folder.block_map,
            sbom=folder.sbom,
            manifest=folder.manifest,
            size_bytes=manifest.bytes,
            mapped_bytes=manifest.mapped_bytes,
            manifest_sha256=hashlib.sha256(folder.manifest.read_bytes()).hexdigest(),
            seconds=seconds,
        )


def _build_anew(
    plan: ImagePlan, places: Places, folder: WorkFolder, observe: Observe, seconds: dict[str, float]
) -> Manifest:
    cache = Cache(places.cache, places.cache_limit)
    base = open_base(places.bases, plan.base)
    check_plan(plan, base)
    parts = _layout(plan, base)
    sbom = image_bill(plan.digest, base, plan.contents)
    drafted = draft(plan, hashlib.sha256(sbom).hexdigest())
    sizes = {content.sha256: content.size_bytes for content in plan.contents}
    with cache.needed(sizes), ThreadPoolExecutor(1, thread_name_prefix="base") as aside:
        ranges = base_ranges(base, parts)
        is_cached = all(cache.has(content.sha256, content.size_bytes) for content in plan.contents)
        # Before something is fetched the base is read whole: its damage is told before hours of fetching.
        prove_it = proof_of if is_cached else prove_base
        proven = aside.submit(prove_it, base, parts, ranges, places.work / PROOFS)
        with (
            _timed(Phase.FETCH, plan, seconds),
            space_for(plan, base, parts.data_bytes, cache, folder.room, places.disk_limit),
        ):
            if not is_cached:
                proven.result()
            files = _fetch_all(plan.contents, cache, places.web, observe)
        with _not_believed_when_damaged(plan.contents, cache):
            begun = time.monotonic()
            card = card_of(plan, base, files, folder.scratch)
            image = folder.image_part
            of_base = tuple(data_pieces(base, ranges.copied))
            building = Meter(Phase.BUILD, _copied_bytes(of_base, card), observe)
            of_contents = assemble(image, parts, plan.digest, base, card)
            # What is there is read before it is filled: libext2fs and debugfs wait until all is on the disk.
            found = find_files(image, parts.data_offset, tuple(file.path for file in card.tree.files))
            mapped = merge((*ranges.root, *ext4_ranges(image, parts.data_offset), last_block(image)))
            with copied_meanwhile(image, (*of_base, *of_contents), building.add) as filling:
                proven.add_done_callback(partial(_stop_when_damaged, filling))
                try:
                    chunks = prove_contents(image, mapped, found, card.tree, filling, observe)
                except FillingEnded:
                    proven.result()  # it may be why
                    raise
            proof = proven.result()
            check_copied(image, parts, base, proof, chunks)
            replaced = [MANIFEST_FILE, PASSPORT_FILE, FILES_FILE]
            if card.configuration is not None:
                write_configuration(image, card.configuration_path, card.configuration, base.built_at)
                replaced.append(card.configuration_path)
            reserve(image, parts, drafted, proof.system, base.built_at)
            check_boot_files(image, base, proof, replaced)
            manifest = prove(drafted, parts, image, card, chunks)
            _note(Phase.BUILD, plan, seconds, filling.finished_at - begun)
            _note(Phase.CHECK, plan, seconds, time.monotonic() - filling.finished_at)
    BlockMap(manifest.bytes, manifest.chunks).to_file(part(folder.block_map))
    part(folder.sbom).write_bytes(sbom)
    manifest.to_file(part(folder.manifest))
    folder.finish()
    return manifest


def _layout(plan: ImagePlan, base: BaseImage) -> Layout:
    sizes = [*(content.card_bytes for content in plan.contents), *inline_bytes(plan)]
    try:
        fit = forecast(plan.size_bytes, base.manifest.root_bytes, sizes, has_shelf=not is_offspot(plan))
    except ValueError as error:
        raise InvalidInput(f"An image can't have {plan.size_bytes} bytes.", field="size_bytes") from error
    if not fit.fits:
        raise DoesNotFit(
            f"The contents need {-fit.free_bytes / MIB:,.1f} MiB more than the card has.",
            hint="Choose a larger medium or fewer contents.",
        )
    return layout(plan.size_bytes, base.manifest.root_bytes)


def _fetch_all(contents: Sequence[Content], cache: Cache, web: Web, observe: Observe) -> list[Path]:
    meter = Meter(Phase.FETCH, sum(content.size_bytes for content in contents), observe)
    before = 0
    files = []
    for content in contents:

        def tell(done: int, _total: int, start: int = before) -> None:
            meter.at(start + done)

        files.append(fetch(content, cache, web, tell, partial(_check_fetched, content)))
        before += content.size_bytes
    return files


def _check_fetched(content: Content, path: Path) -> None:
    if content.via == DIRECT and content.file.endswith(ZIM_SUFFIX):
        check_zim(content, path)


def _copied_bytes(of_base: Sequence[Piece], card: Card) -> int:
    files = sum(file.size_bytes for file in card.tree.files if isinstance(file.source, Path))
    return sum(piece.place.length for piece in of_base) + files


def _stop_when_damaged(filling: Filling, proven: Future[BaseProof]) -> None:
    if proven.exception() is not None:
        filling.stop()


@contextmanager
def _not_believed_when_damaged(contents: Sequence[Content], cache: Cache) -> Iterator[None]:
    """A content that proves damaged leaves the cache: it may have changed there since it was checked."""
    try:
        yield
    except ContentDamaged as error:
        for content in contents:
            if error.field in (content.ident, content.file):
                cache.drop(content.sha256)
        raise


@contextmanager
def _timed(phase: Phase, plan: ImagePlan, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    _note(phase, plan, seconds, time.monotonic() - started)


def _note(phase: Phase, plan: ImagePlan, seconds: dict[str, float], spent: float) -> None:
    seconds[phase] = round(spent, 3)
    log.info("phase done", image=plan.digest, phase=phase, seconds=seconds[phase])
