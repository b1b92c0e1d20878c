"""Fills a new shop from a file: accounts, warehouses, base images, catalogues. Repeating it changes nothing.

The file is a JSON object::

    {"users": [{"username", "role", "password_file", "email"?,
                "only_when_missing"?}],
     "warehouses": [{"name", "host", "port"}],
     "bases_folder": "path of a folder with base image manifests (*.json)",
     "catalogues": [{"name", "url"}]}

Each part may be absent. An account that is there becomes what the file says, its password too; with
``only_when_missing`` (for people, who change theirs) it stays as it is.
"""

from __future__ import annotations

import json
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardshop.contract import wire
from cardshop.contract.errors import InvalidInput, NotFound
from cardshop.image_format import SBOM_SUFFIX
from scheduler.api.problems import invalid_input
from scheduler.api.schemas import Name, Username
from scheduler.api.services import Services
from scheduler.domain.rights import Role
from scheduler.shop.passwords import hash_password
from scheduler.store.bases import Base
from scheduler.store.warehouses import Warehouse

log = structlog.get_logger(__name__)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeedUser(_Part):
    """An account; the password is the content of a file, without white space around it."""

    username: Username
    role: Role
    password_file: Path
    email: str | None = None
    only_when_missing: bool = False


class SeedWarehouse(_Part):
    """A warehouse's address, as workers see it."""

    name: Name
    host: str
    port: int = Field(ge=1, le=65535)


class SeedCatalogue(_Part):
    """An OPDS feed."""

    name: Name
    url: str


class Seed(_Part):
    """The file."""

    users: list[SeedUser] = []
    warehouses: list[SeedWarehouse] = []
    bases_folder: Path | None = None
    catalogues: list[SeedCatalogue] = []


def read(path: Path) -> Seed:
    """The seed in a file. Raises InvalidInput."""
    try:
        return Seed.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise invalid_input(error) from None
    except OSError as error:
        raise InvalidInput(f"The seed file {path} can't be read: {error.strerror}.") from None


def sow(seed: Seed, services: Services) -> None:
    """Puts what the seed names into the database, where it is missing or other."""
    for user in seed.users:
        _put_user(user, services)
    for warehouse in seed.warehouses:
        services.store.warehouses.put(Warehouse(warehouse.name, warehouse.host, warehouse.port))
    for manifest in _manifests(seed.bases_folder) if seed.bases_folder else []:
        services.store.bases.put(wire.from_wire(Base, json.loads(manifest.read_bytes())))
    for catalogue in seed.catalogues:
        _put_catalogue(catalogue, services)
    log.info(
        "the shop is seeded",
        users=len(seed.users),
        bases=len(services.store.bases.every()),
        catalogues=len(seed.catalogues),
    )


def _manifests(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if not path.name.endswith(SBOM_SUFFIX))


def _put_user(seed: SeedUser, services: Services) -> None:
    password = seed.password_file.read_text().strip()
    user = services.store.users.find(seed.username)
    if user is None:
        services.store.users.add(seed.username, seed.role, hash_password(password), email=seed.email)
        return
    if seed.only_when_missing:
        return
    if not services.accounts.has_password(user, password):
        services.accounts.set_password(seed.username, password)
    # An address that a person has changed since stays as it is.
    services.store.users.change(seed.username, {"role": seed.role.value, "email": user.email or seed.email})


def _put_catalogue(seed: SeedCatalogue, services: Services) -> None:
    try:
        known = services.store.catalogue.get(seed.name)
    except NotFound:
        services.store.catalogue.add(seed.name, seed.url)
        return
    if known.url != seed.url:
        services.store.catalogue.set_url(seed.name, seed.url)
