"""Base images that cards are built from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Name, Told
from scheduler.domain.rights import Right
from scheduler.store import bases as store


class GivenBase(Given):
    """The manifest that the build of a base image writes."""

    version: Literal[1]
    name: Name
    architecture: Name
    release: Name
    built: str = Field(max_length=40)
    bytes: int = Field(strict=True, gt=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    boot_bytes: int = Field(strict=True, gt=0)
    root_bytes: int = Field(strict=True, gt=0)
    recipe: str = Field(default="", max_length=64, description="digest of what the base was built from")
    sbom_sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="checksum of the list of its packages"
    )
    system: Literal["cardshop", "offspot"] = Field(default="cardshop", description="whose recipes it knows")
    data_bytes: int = Field(
        default=0, strict=True, ge=0, description="of files that it brings to the data partition"
    )


class Base(Told):
    """A base image."""

    name: str
    architecture: str
    release: str
    built: str
    bytes: int
    sha256: str
    boot_bytes: int
    root_bytes: int
    system: str
    data_bytes: int


class BaseList(Resource):
    """``/v1/bases``."""

    @operation("List the base images", Right.READ_BASES, answer=Listed[Base])
    def get(self) -> Listed[Base]:
        """Every base, by name."""
        bases = [Base(**asdict(base)) for base in self.services.store.bases.every()]
        return Listed[Base](items=bases, total=len(bases))

    @operation(
        "Add a base image, or a newer build", Right.MANAGE_BASES, body=GivenBase, answer=Base, status=201
    )
    def post(self, body: GivenBase) -> Base:
        """The base that new orders are built from; the creators have its file."""
        base = store.Base(**body.model_dump(exclude={"version", "recipe", "sbom_sha256"}))
        self.services.store.bases.put(base)
        return Base(**asdict(base))
