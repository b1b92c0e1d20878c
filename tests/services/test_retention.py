"""Retention over a real database and a real folder: images go when nobody needs them, and never before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cardshop.contract.errors import Conflict
from scheduler.domain.rights import Role
from scheduler.shop import orders, retention
from scheduler.store.store import Store
from tests.api import Api, new_api
from tests.manager_pages import scheduler_of
from tests.real_services import RealMongod
from tests.shop import DIGEST, Clock, a_draft, image_built
from warehouse.filesystem import ImageFolder
from warehouse.retention import Retention
from warehouse.shelving import ShelfFolder

OUTCOME: dict[str, Any] = {
    "image_digest": DIGEST,
    "size_bytes": 1,
    "mapped_bytes": 1,
    "manifest_sha256": "e" * 64,
    "seconds": {},
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(mongod: RealMongod, clock: Clock) -> Api:
    return new_api(mongod.uri, clock=clock)


@pytest.fixture
def store(api: Api) -> Store:
    return api.store


@pytest.fixture
def worker(api: Api, store: Store, tmp_path: Path) -> Iterator[Retention]:
    with scheduler_of(api, tmp_path, Role.WAREHOUSE.value) as scheduler:
        yield Retention(scheduler, folder_of(tmp_path), ShelfFolder(None, 0))


def folder_of(tmp_path: Path) -> ImageFolder:
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    return ImageFolder(folder)


def keep(store: Store, tmp_path: Path) -> None:
    store.images.keep(OUTCOME, "main")
    for suffix in (".json", ".bmap", ".img"):
        (folder_of(tmp_path).path / (DIGEST + suffix)).write_text("first")


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name.removeprefix(DIGEST) for path in folder_of(tmp_path).path.iterdir())


def test_an_image_that_nobody_used_is_deleted_by_the_warehouse(
    store: Store, clock: Clock, worker: Retention, tmp_path: Path
) -> None:
    keep(store, tmp_path)
    clock.forward(timedelta(days=91))

    assert retention.delete_images(store, 90) == 1
    assert store.images.kept(DIGEST) is None
    worker.delete_given_up()

    assert files(tmp_path) == []
    assert store.images.state(DIGEST) == "deleted"


def test_an_image_that_was_used_lately_or_is_needed_stays(store: Store, clock: Clock) -> None:
    store.images.keep(OUTCOME, "main")
    clock.forward(timedelta(days=80))
    order = orders.place(store, a_draft())
    clock.forward(timedelta(days=11))
    assert retention.delete_images(store, 90) == 0

    clock.forward(timedelta(days=100))
    assert retention.delete_images(store, 90) == 0
    orders.cancel(store, order.id, who="operator")
    assert retention.delete_images(store, 90) == 1


def test_an_image_that_is_ordered_again_while_it_is_set_aside_comes_back(
    store: Store, clock: Clock, worker: Retention, tmp_path: Path
) -> None:
    keep(store, tmp_path)
    clock.forward(timedelta(days=91))
    retention.delete_images(store, 90)
    store.images.keep(OUTCOME, "main")
    folder_of(tmp_path).set_aside(DIGEST)

    worker.delete_given_up()

    assert files(tmp_path) == [".bmap", ".img", ".json"]
    assert store.images.kept(DIGEST) is not None


def test_an_image_that_is_being_built_anew_is_not_deleted_under_its_creator(
    store: Store, clock: Clock, worker: Retention, tmp_path: Path
) -> None:
    keep(store, tmp_path)
    clock.forward(timedelta(days=91))
    retention.delete_images(store, 90)
    store.workers.seen("creator", Role.CREATOR, "creator@desk", online=True)
    orders.place(store, a_draft())
    assert store.queue.images_in_hand() == {DIGEST}

    with pytest.raises(Conflict):
        retention.confirm_removal(store, DIGEST)
    worker.delete_given_up()

    assert files(tmp_path) == [".bmap", ".img", ".json"]


def test_what_was_set_aside_by_a_process_that_was_killed_is_decided_by_the_next(
    store: Store, clock: Clock, worker: Retention, tmp_path: Path
) -> None:
    keep(store, tmp_path)
    clock.forward(timedelta(days=91))
    retention.delete_images(store, 90)
    folder = folder_of(tmp_path).path
    (folder / f"{DIGEST}.img").rename(folder / f"{DIGEST}.img.gone")  # and was killed

    worker.delete_given_up()

    assert files(tmp_path) == []


def test_an_image_that_was_brought_anew_stays_and_the_old_one_goes(tmp_path: Path, store: Store) -> None:
    keep(store, tmp_path)
    folder = folder_of(tmp_path)
    folder.set_aside(DIGEST)
    for suffix in (".json", ".bmap", ".img"):
        (folder.path / (DIGEST + suffix)).write_text("second")

    folder.put_back(DIGEST)

    assert files(tmp_path) == [".bmap", ".img", ".json"]
    assert (folder.path / f"{DIGEST}.img").read_text() == "second"


def test_a_download_ends_after_its_days_and_frees_the_image(api: Api, store: Store, clock: Clock) -> None:
    store.images.keep(OUTCOME, "main")
    order = orders.place(store, a_draft(quantity=0, owner="client"))
    path = f"/v1/orders/{order.id}/download-tokens"
    assert api.post(path)["file"] == f"{image_built().image_digest}.img"
    clock.forward(timedelta(days=31))

    assert retention.expire_links(store, 30) == 1

    assert retention.expire_links(store, 30) == 0
    api.log_in_again()
    assert api.call("POST", path).body["detail"] == "The order's download has ended."
    assert retention.delete_images(store, 30) == 1
