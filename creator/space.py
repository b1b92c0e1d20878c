"""Room on the disk: taken before a byte is fetched, or the build is refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardshop.contract.errors import ImageDamaged, LimitReached, NoSpace, ProgramFailed
from cardshop.contract.tasks import DIRECT
from cardshop.fit import MIB, data_free_bytes
from creator.cache import SECTOR_BYTES, Cache
from creator.image.base_image import BaseImage
from creator.plan import ImagePlan

MARGIN_BYTES = 64 * MIB
"""Kept free beyond what the build needs: logs and the file system's own needs."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def space_for(
    plan: ImagePlan, base: BaseImage, data_bytes: int, cache: Cache, room: Path, limit: int = 0
) -> Iterator[None]:
    """Takes the image's room in the work folder, for as long as the contents are fetched.

    Args:
        plan: the image to build.
        base: its base image, whose holes stay holes.
        data_bytes: size of the image's data partition.
        cache: where missing contents go; each takes its room there when it is begun.
        room: the file that takes the room; gone afterwards.
        limit: bytes that image and missing contents may take together; 0 is none.

    Raises:
        LimitReached: they would take more.
        NoSpace: says how much is needed and how much is free.
    """
    metadata = data_bytes - data_free_bytes(data_bytes)
    contents = sum(content.card_bytes for content in plan.contents)
    # What comes in archives is unpacked beside the image first.
    contents += sum(content.card_bytes for content in plan.contents if content.via != DIRECT)
    image = base.image.stat().st_blocks * SECTOR_BYTES + metadata + contents
    missing = sum(cache.missing_bytes(content.sha256, content.size_bytes) for content in plan.contents)
    if 0 < limit < image + missing:
        needed = -(-(image + missing) // MIB)
        raise LimitReached(
            f"The build needs {needed:,} MiB of disk; this creator gives it {limit // MIB:,} MiB.",
            hint="Take contents out, or ask an admin to raise CARDSHOP_BUILD_DISK_BYTES of this creator.",
        )
    if room.parent.stat().st_dev == cache.folder.stat().st_dev:
        _require(room.parent, image + missing)
    else:
        _require(room.parent, image)
        _require(cache.folder, missing)
    try:
        with room.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, image)
        yield
    finally:
        room.unlink(missing_ok=True)


@contextmanager
def full_disk_told(*folders: Path) -> Iterator[None]:
    """What fails because one of the folders' file systems filled up is one clear error.

    Raises:
        NoSpace: that is why.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _no_room(folders) from error
    except (ProgramFailed, ImageDamaged) as error:
        # A program or a library tells such a thing in words of its own.
        if all(_free(folder) >= MIB for folder in folders):
            raise
        raise _no_room(folders) from error


def _no_room(folders: tuple[Path, ...]) -> NoSpace:
    fullest = min(folders, key=_free)
    return NoSpace(
        f"There is no room left in {fullest}; something else took it during the build.",
        hint="Make room on this creator's disk; the build is tried again and goes on from what it has.",
    )


def _require(folder: Path, needed: int) -> None:
    free = _free(folder)
    wanted = needed + MARGIN_BYTES
    if free < wanted:
        raise NoSpace(
            f"The build needs {wanted // MIB:,} MiB in {folder}, {free // MIB:,} MiB are free.",
            hint="Make room on this creator, or give its cache and work folder a larger disk.",
        )


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize
