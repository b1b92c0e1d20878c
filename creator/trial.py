"""The trial of a built image in a virtual machine, once; one that fails it is thrown away."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cardshop.contract.errors import BootFailed, Unavailable
from cardshop.contract.events import Phase
from cardshop.fit import layout
from cardshop.image_format import PICTURE_SUFFIX
from cardshop.machines import Machine, machine_for
from cardshop.programs import find
from creator.boot_proof import prove_boots
from creator.image.base_image import open_base
from creator.plan import BuiltImage, ImagePlan, Observe, Places
from creator.work_folder import held


def require_machine(plan: ImagePlan, places: Places) -> Machine | None:
    """The machine that the image of ``plan`` is to be tried in; None: its base is none of ours.

    Another's system (Offspot's: containers) says other words on its console, and may know no board of QEMU's.

    Raises:
        ProgramFailed: this creator can't emulate it: known before anything is built.
        NotFound, ImageDamaged: see :func:`creator.image.base_image.open_base`.
    """
    manifest = open_base(places.bases, plan.base).manifest
    if not manifest.recipe:
        return None
    machine = machine_for(manifest.architecture)
    for program in (machine.program, "qemu-img", "mcopy"):
        find(program)
    return machine


def try_image(
    built: BuiltImage,
    plan: ImagePlan,
    places: Places,
    machine: Machine,
    *,
    timeout: float,
    observe: Observe,
    log: Callable[[str], None],
) -> float:
    """Starts the image and asks it for all that was ordered; leaves a picture of its portal page beside it.

    What a worker proved before it was killed is not proved again.

    Args:
        built: the image; not changed.
        plan: what it was built from.
        places: where that was done.
        machine: what it is started in.
        timeout: seconds until its portal must answer.
        observe: told of the progress, in steps.
        log: told what was seen, for a person.

    Returns:
        The seconds that it took.

    Raises:
        BootFailed: it is not what was ordered; nothing is left of it.
        Unavailable: this host could not try it now; the image stays, or another trial threw it away.
    """
    record = record_of(built.image)

    def tell(done: int, total: int) -> None:
        observe(Phase.BOOT, done, total, "steps")

    with held(places.work, plan.digest):
        if not built.image.exists():
            raise Unavailable("The image failed another trial of it meanwhile.", hint="It is built again.")
        if record.exists():
            return float(record.read_text())
        parts = layout(plan.size_bytes, open_base(places.bases, plan.base).manifest.root_bytes)
        try:
            proof = prove_boots(
                built.image,
                machine,
                configuration=plan.card_configuration,
                data_offset=parts.data_offset,
                picture=built.image.with_suffix(PICTURE_SUFFIX),
                timeout=timeout,
                tell=tell,
            )
        except BootFailed:
            shutil.rmtree(built.image.parent)
            raise
        told = f"host name, Wi-Fi, portal and {proof.articles} contents answered."
        log(f"Image started ({machine.name}): {told}")
        if proof.picture:
            log(proof.picture)
        part = record.with_suffix(".tried.part")
        with part.open("w") as stream:
            stream.write(str(proof.seconds))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(record)
    return proof.seconds


def record_of(image: Path) -> Path:
    """Says beside the image that it passed its trial, and after how many seconds."""
    return image.with_suffix(".tried")
