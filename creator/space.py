"""Refuses a build that the disk has no room for, before a byte is fetched."""

from __future__ import annotations

import os
from pathlib import Path

from cardshop.contract.errors import NoSpace
from cardshop.fit import MIB, data_free_bytes
from creator.cache import Cache
from creator.image.base_image import BaseImage
from creator.plan import ImagePlan

MARGIN_BYTES = 64 * MIB
"""Kept free beyond what the build needs: logs and the file system's own needs."""

SECTOR_BYTES = 512  # unit of st_blocks, whatever the file system


def require_space(plan: ImagePlan, base: BaseImage, data_bytes: int, cache: Cache, work: Path) -> None:
    """Makes sure that contents and image find room.

    Args:
        plan: the image to build.
        base: its base image, whose holes stay holes.
        data_bytes: size of the image's data partition.
        cache: where missing contents go.
        work: the folder of the image.

    Raises:
        NoSpace: says how much is needed and how much is free.
    """
    metadata = data_bytes - data_free_bytes(data_bytes)
    contents = sum(content.size_bytes for content in plan.contents)
    image = base.image.stat().st_blocks * SECTOR_BYTES + metadata + contents
    missing = sum(cache.missing_bytes(content.sha256, content.size_bytes) for content in plan.contents)
    if work.stat().st_dev == cache.folder.stat().st_dev:
        _require(work, image + missing)
    else:
        _require(work, image)
        _require(cache.folder, missing)


def _require(folder: Path, needed: int) -> None:
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    wanted = needed + MARGIN_BYTES
    if free < wanted:
        raise NoSpace(
            f"The build needs {wanted // MIB:,} MiB in {folder}, {free // MIB:,} MiB are free.",
            hint="Free room on this creator, or give its cache and work folder a larger disk.",
        )
