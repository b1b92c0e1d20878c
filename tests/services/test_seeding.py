"""A shop is filled from a file, again and again."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from scheduler import seeding
from scheduler.api.services import Services
from scheduler.assembly import services_over
from scheduler.domain.rights import Role
from scheduler.seeding import Seed, SeedUser
from scheduler.settings import ShopSettings
from scheduler.store.database import connect
from scheduler.store.store import Store
from tests.api import SECRET_KEY
from tests.real_services import RealMongod


@pytest.fixture
def services(mongod: RealMongod) -> Services:
    uri = mongod.uri.replace("/cardshop?", f"/seeding-{uuid.uuid4().hex[:8]}?")
    store = Store(connect(uri))
    store.prepare()
    return services_over(store, ShopSettings(mongo_uri=uri, secret_key=SECRET_KEY))


def seed(folder: Path, *, only_when_missing: bool) -> Seed:
    password = folder / "password"
    password.write_text("the first password")
    user = SeedUser(
        username="somebody", role=Role.ADMIN, password_file=password, only_when_missing=only_when_missing
    )
    return Seed(users=[user])


def has(services: Services, password: str) -> bool:
    user = services.store.users.find("somebody")
    assert user
    return services.accounts.has_password(user, password)


def test_a_person_keeps_a_password_that_was_changed(services: Services, tmp_path: Path) -> None:
    content = seed(tmp_path, only_when_missing=True)
    seeding.sow(content, services)
    services.accounts.set_password("somebody", "a password of my own")

    seeding.sow(content, services)

    assert has(services, "a password of my own")


def test_a_machine_gets_the_password_of_the_file_again(services: Services, tmp_path: Path) -> None:
    content = seed(tmp_path, only_when_missing=False)
    seeding.sow(content, services)
    services.accounts.set_password("somebody", "another password")

    seeding.sow(content, services)

    assert has(services, "the first password")
