"""What is beside an image in the warehouse for people: the list of its parts, the picture of its portal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from ftplib import error_perm
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cardshop.contract.errors import Conflict, ImageDamaged, NotFound
from cardshop.image_format import PICTURE_SUFFIX, PNG, SBOM_SUFFIX
from cardshop.stack.ports import LOOPBACK
from manager.image_files import image_file
from scheduler.shop import orders
from tests.api import Api, new_api
from tests.manager_pages import Visitor, manager_of
from tests.real_services import RealMongod
from tests.shop import a_draft
from tests.warehouses import (
    DIGEST,
    RealWarehouse,
    make_image,
    names,
    real_warehouse,
    silent,
    store,
    upload_documents,
)
from warehouse.filesystem import ImageFolder

BILL = b'{"bomFormat": "CycloneDX"}\n'
PICTURE = PNG + b"as guests see it"
LIST, PORTAL = f"{DIGEST}{SBOM_SUFFIX}", f"{DIGEST}{PICTURE_SUFFIX}"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[RealWarehouse]:
    with real_warehouse(tmp_path) as running:
        yield running


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The folder of an image that names its list, and was tried."""
    return make_full_image(tmp_path / "built")


def make_full_image(folder: Path, picture: bytes = PICTURE) -> Path:
    manifest = make_image(folder)
    replace(manifest, sbom_sha256=hashlib.sha256(BILL).hexdigest()).to_file(folder / f"{DIGEST}.json")
    (folder / LIST).write_bytes(BILL)
    (folder / PORTAL).write_bytes(picture)
    return folder


def upload(warehouse: RealWarehouse, folder: Path) -> None:
    with warehouse.client("upload") as client:
        client.upload(DIGEST, folder, silent)


def token(warehouse: RealWarehouse, *files: str) -> dict[str, Any]:
    shown = warehouse.scheduler.token("download")
    return {"host": LOOPBACK, "port": warehouse.port, "token": shown, "files": list(files)}


def test_a_user_of_the_manager_gets_both_from_the_warehouse(warehouse: RealWarehouse, built: Path) -> None:
    upload(warehouse, built)
    known = token(warehouse, LIST, PORTAL)

    assert image_file(known, "portal.png", warehouse.ca_file) == (PICTURE, "image/png")
    assert image_file(known, "contents.cdx.json", warehouse.ca_file)[0] == BILL


def test_an_image_that_was_not_tried_has_no_picture(warehouse: RealWarehouse, built: Path) -> None:
    (built / PORTAL).unlink()
    upload(warehouse, built)

    with pytest.raises(NotFound):
        image_file(token(warehouse, LIST), "portal.png", warehouse.ca_file)
    with pytest.raises(NotFound):
        image_file(token(warehouse, PORTAL), "portal.png", warehouse.ca_file)


def test_an_image_is_not_complete_without_the_list_that_its_manifest_names(
    warehouse: RealWarehouse, built: Path
) -> None:
    (built / LIST).unlink()

    with pytest.raises(Conflict):
        upload(warehouse, built)

    assert f"{DIGEST}.img" not in names(warehouse.images)


def test_another_list_is_refused(warehouse: RealWarehouse, built: Path) -> None:
    (built / LIST).write_bytes(BILL.replace(b"CycloneDX", b"SomethingE"))

    with pytest.raises(ImageDamaged):
        upload(warehouse, built)


def test_a_picture_that_is_none_is_refused(warehouse: RealWarehouse, built: Path) -> None:
    upload_documents(warehouse, built)
    store(warehouse, f"{PORTAL}.part", b"<svg onload='x()'/>")

    ftp = warehouse.ftp(warehouse.scheduler.token("upload"))
    with pytest.raises(error_perm, match="551"):
        ftp.rename(f"{PORTAL}.part", PORTAL)
    ftp.close()


def test_an_image_that_is_kept_keeps_its_picture_when_it_is_brought_again_with_another(
    warehouse: RealWarehouse, built: Path, tmp_path: Path
) -> None:
    upload(warehouse, built)

    upload(warehouse, make_full_image(tmp_path / "again", PNG + b"another font"))

    assert (warehouse.images / PORTAL).read_bytes() == PICTURE


def test_they_go_with_the_image(warehouse: RealWarehouse, built: Path) -> None:
    upload(warehouse, built)
    assert {LIST, PORTAL} <= set(names(warehouse.images))
    folder = ImageFolder(warehouse.images)

    folder.set_aside(DIGEST)
    folder.delete(DIGEST)

    assert names(warehouse.images) == []


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    made = new_api(mongod.uri)
    outcome = {"image_digest": DIGEST, "size_bytes": 9, "mapped_bytes": 5, "manifest_sha256": "2e" * 32}
    made.store.images.keep({**outcome, "seconds": {}, "documents": [LIST, PORTAL]}, "main")
    return made


@pytest.fixture
def manager(api: Api, tmp_path: Path) -> Iterator[FlaskClient]:
    (tmp_path / "tls").mkdir()
    with manager_of(api, tmp_path / "tls") as client:
        yield client


def test_a_download_token_says_all_that_it_opens(api: Api) -> None:
    order = orders.place(api.store, replace(a_draft(), image_digest=DIGEST))

    for address in (f"/v1/orders/{order.id}/download-tokens", f"/v1/images/{DIGEST}/download-tokens"):
        told = api.post(address, {})
        assert told["file"] == f"{DIGEST}.img"
        assert told["files"] == [f"{DIGEST}.bmap", f"{DIGEST}.json", LIST, PORTAL]
    assert api.call("POST", f"/v1/images/{'0' * 64}/download-tokens", {}).status == 404


def test_the_pages_of_an_order_and_of_the_images_show_what_is_beside_the_image(
    api: Api, manager: FlaskClient
) -> None:
    order = orders.place(api.store, replace(a_draft(), image_digest=DIGEST))
    operator = Visitor(manager, "operator")

    page, listing = operator.get(f"/orders/{order.id}"), operator.get("/images")

    shown = page.root.one("img", src=f"/orders/{order.id}/image/portal.png")
    assert "portal page" in shown.attributes["alt"]
    assert page.root.one("a", href=f"/orders/{order.id}/image/contents.cdx.json")
    assert listing.root.one("a", href=f"/images/{DIGEST}/portal.png")
    assert listing.root.one("a", href=f"/images/{DIGEST}/contents.cdx.json")
