"""What an image is built from, where the work is done, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cardshop.contract.events import Phase
from cardshop.contract.tasks import BaseReference, Content, CreateTask
from creator.mirrors import Web

Observe = Callable[[Phase, int, int, str], None]
"""Called with (phase, done, total, unit) as the work goes on, often: the callee thins it out.

The unit is ``bytes`` or ``steps``. Phases of a build: FETCH, BUILD, CHECK.
"""


@dataclass(frozen=True)
class ImagePlan:
    """One image to build: all of it resolved, nothing left to look up."""

    digest: str  # 64 hex digits, names the image
    size_bytes: int  # of the image
    base: BaseReference
    contents: tuple[Content, ...]
    card_configuration: dict[str, Any]  # becomes /cardshop/recipe.json; may hold secrets, is never logged

    @classmethod
    def of(cls, task: CreateTask, card_configuration: dict[str, Any]) -> Self:
        """The plan of a create task and the configuration that came with its claim."""
        return cls(task.image_digest, task.size_bytes, task.base, task.contents, card_configuration)


@dataclass(frozen=True)
class Places:
    """The folders that a creator works with, and what it may fetch."""

    bases: Path  # NAME.img and NAME.json of each base image
    cache: Path  # verified contents by SHA-256; shared by the creators of a host
    work: Path  # images being built and built; a file system that has holes
    web: Web
    cache_limit: int = 0  # bytes that contents may take there beyond a running build's; 0: no limit
    disk_limit: int = 0  # bytes that a build may take of the work folder and the cache together; 0: no limit


@dataclass(frozen=True)
class BuiltImage:
    """A finished image: four files that are ready for the warehouse."""

    image: Path  # <digest>.img
    block_map: Path  # <digest>.bmap
    sbom: Path  # <digest>.cdx.json
    manifest: Path  # <digest>.json
    size_bytes: int
    mapped_bytes: int
    manifest_sha256: str
    seconds: dict[str, float]  # by phase
