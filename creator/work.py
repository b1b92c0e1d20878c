"""A create task from its claim to its outcome: the image is built, tried, and brought to the warehouse."""

from __future__ import annotations

import time

from cardshop.contract.errors import MessageRejected
from cardshop.contract.events import ImageBuilt, Phase
from cardshop.contract.tasks import Claim, CreateTask
from cardshop.image_format import PICTURE_SUFFIX
from cardshop.warehouse_client import Warehouse
from cardshop.worker import Reporter
from creator.build import build
from creator.limits import memory, processors, time_limit
from creator.mirrors import Web
from creator.pace import Pace
from creator.plan import BuiltImage, ImagePlan, Places
from creator.settings import Settings
from creator.trial import require_machine, try_image
from creator.work_folder import discard


def create(settings: Settings, task: CreateTask, claim: Claim, reporter: Reporter) -> ImageBuilt:
    """Builds the image of ``task`` and uploads it; both go on where an earlier try was cut.

    Raises:
        CardshopError: what :func:`creator.build.build`, :func:`creator.trial.try_image` and
            :meth:`Warehouse.upload` raise.
    """
    if claim.card_configuration is None:
        raise MessageRejected("The claim has no card configuration.", field="card_configuration")
    plan = ImagePlan.of(task, claim.card_configuration)
    with processors(settings.build_cpus), time_limit(settings.build_seconds):
        built, seconds = _build(settings, plan, reporter)
    beside = (built.sbom, built.image.with_suffix(PICTURE_SUFFIX))
    documents = tuple(path.name for path in beside if path.exists())
    upload_seconds = _upload(settings, task.image_digest, built, claim, reporter)
    discard(settings.work, task.image_digest)
    reporter.log("Image is in the warehouse.")
    return ImageBuilt(
        image_digest=task.image_digest,
        size_bytes=built.size_bytes,
        mapped_bytes=built.mapped_bytes,
        manifest_sha256=built.manifest_sha256,
        documents=documents,
        seconds={**seconds, Phase.UPLOAD.value: upload_seconds},
    )


def _build(settings: Settings, plan: ImagePlan, reporter: Reporter) -> tuple[BuiltImage, dict[str, float]]:
    """The image, tried where that is wanted, and the seconds that each phase took."""
    web = Web(frozenset(settings.private_mirrors), settings.stall_seconds, Pace(settings.fetch_rate))
    places = Places(
        settings.bases,
        settings.cache,
        settings.work,
        web,
        cache_limit=settings.content_cache_bytes,
        disk_limit=settings.build_disk_bytes,
    )
    machine = require_machine(plan, places) if settings.boot_proof else None
    with memory(settings.build_memory_bytes):
        built = build(plan, places, reporter.progress)
    reporter.log(f"Image built: {built.mapped_bytes:,} of {built.size_bytes:,} bytes hold data.")
    if machine is None:
        if settings.boot_proof:
            reporter.log("Not tried in a virtual machine: its base image is none of Cardshop's own.")
        return built, built.seconds
    spent = try_image(
        built,
        plan,
        places,
        machine,
        timeout=settings.boot_seconds,
        observe=reporter.progress,
        log=reporter.log,
    )
    return built, {**built.seconds, Phase.BOOT: spent}


def _upload(settings: Settings, digest: str, built: BuiltImage, claim: Claim, reporter: Reporter) -> float:
    begun = time.monotonic()
    access = claim.warehouse

    def observe(done: int, total: int) -> None:
        reporter.progress(Phase.UPLOAD, done, total)

    with Warehouse(access.host, access.port, settings.ca_file, access.token) as warehouse:
        warehouse.upload(digest, built.image.parent, observe)
    return round(time.monotonic() - begun, 3)
