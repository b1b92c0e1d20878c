from __future__ import annotations

from collections.abc import Iterator
from ftplib import FTP, error_perm, error_temp
from pathlib import Path

import pytest

from cardshop.contract.errors import Conflict, ImageDamaged, NotFound, TaskCanceled
from cardshop.image_format import Manifest
from cardshop.transfer.replies import runs_named
from tests.real_services import PATIENCE_SECONDS
from tests.warehouses import (
    DIGEST,
    IMAGE_BYTES,
    MIB,
    RealWarehouse,
    make_image,
    names,
    real_warehouse,
    same_bytes,
    silent,
    store,
    upload_documents,
)
from warehouse.app import MOST_SESSIONS_PER_ADDRESS

IMAGE = f"{DIGEST}.img"
PART = f"{IMAGE}.part"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[RealWarehouse]:
    with real_warehouse(tmp_path) as running:
        yield running


def test_an_upload_of_an_image_that_is_kept_sends_nothing_of_it(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    sent_once = warehouse.bytes_received(PART)

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert warehouse.bytes_received(PART) == sent_once > 0


def test_another_build_of_a_kept_image_changes_nothing(warehouse: RealWarehouse, tmp_path: Path) -> None:
    first = make_image(tmp_path / "built")
    make_image(tmp_path / "again", seed=2)
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    with pytest.raises(Conflict), warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "again", silent)

    assert Manifest.from_file(warehouse.images / f"{DIGEST}.json") == first
    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    assert names(warehouse.images) == [f"{DIGEST}.bmap", IMAGE, f"{DIGEST}.json"]


def test_another_build_takes_the_place_of_one_that_never_arrived_whole(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    upload_documents(warehouse, tmp_path / "built")
    store(warehouse, PART, (tmp_path / "built" / IMAGE).read_bytes()[: 30 * MIB])
    make_image(tmp_path / "again", seed=2)

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "again", silent)

    assert same_bytes(warehouse.images / IMAGE, tmp_path / "again" / IMAGE)


def test_a_half_upload_is_invisible_to_a_download(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    upload_documents(warehouse, tmp_path / "built")
    store(warehouse, PART, b"x" * MIB)

    with pytest.raises(NotFound), warehouse.client("download") as client:
        client.download(DIGEST, tmp_path / "fetched", silent)

    assert not (warehouse.images / IMAGE).exists()
    assert not (tmp_path / "fetched" / IMAGE).exists()


def test_wrong_bytes_are_refused_at_the_rename_and_named_for_repair(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    manifest = make_image(tmp_path / "built")
    content = bytearray((tmp_path / "built" / IMAGE).read_bytes())
    content[8 * MIB + 5] ^= 1
    content[64 * MIB] ^= 1
    upload_documents(warehouse, tmp_path / "built")
    store(warehouse, PART, bytes(content))
    ftp = warehouse.ftp(warehouse.scheduler.token("upload"))

    with pytest.raises(error_perm) as refused:
        ftp.rename(PART, IMAGE)

    assert runs_named(str(refused.value)) == ((8 * MIB, 8 * MIB), (64 * MIB, 64 * MIB))
    assert not (warehouse.images / IMAGE).exists()
    assert (warehouse.images / PART).stat().st_size == manifest.bytes
    ftp.close()


def test_an_upload_repairs_the_chunks_that_the_warehouse_finds_wrong(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    content = bytearray((tmp_path / "built" / IMAGE).read_bytes())
    content[8 * MIB + 5] ^= 1
    upload_documents(warehouse, tmp_path / "built")
    store(warehouse, PART, bytes(content))

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    assert warehouse.bytes_received(PART) == IMAGE_BYTES + 4 * MIB


def test_an_image_file_that_is_not_its_manifests_is_never_kept(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    with (tmp_path / "built" / IMAGE).open("r+b") as image:
        image.seek(61 * MIB)
        image.write(b"not what was built")

    with pytest.raises(ImageDamaged), warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert not (warehouse.images / IMAGE).exists()


def test_an_image_can_not_be_sent_before_its_manifest(warehouse: RealWarehouse) -> None:
    with pytest.raises(error_perm, match="manifest comes before"):
        store(warehouse, PART, b"bytes")

    assert names(warehouse.images) == []


def test_an_image_can_not_grow_past_its_manifests_size(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    upload_documents(warehouse, tmp_path / "built")

    with pytest.raises((error_temp, OSError)):
        store(warehouse, PART, b"x" * MIB, offset=IMAGE_BYTES - 5)

    assert (warehouse.images / PART).stat().st_size <= IMAGE_BYTES


def test_an_image_is_not_completed_while_a_session_still_sends(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    upload_documents(warehouse, tmp_path / "built")
    first = warehouse.ftp(warehouse.scheduler.token("upload"))
    with first.transfercmd(f"STOR {PART}") as channel:
        channel.sendall(b"begun")

        ftp = warehouse.ftp(warehouse.scheduler.token("upload"))
        with pytest.raises(error_temp, match="Another session"):
            ftp.rename(PART, IMAGE)

    first.close()
    ftp.close()


def test_two_sessions_never_write_one_manifest_at_once(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    document = f"{DIGEST}.json.part"
    first = warehouse.ftp(warehouse.scheduler.token("upload"))
    with first.transfercmd(f"STOR {document}") as channel:
        channel.sendall(b"begun")

        with pytest.raises(error_temp, match="Another session"):
            store(warehouse, document, b"second")

    first.close()


def test_an_image_travels_over_several_connections_at_once(warehouse: RealWarehouse, tmp_path: Path) -> None:
    manifest = make_image(tmp_path / "built")

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert warehouse.log().count("event='login'") == 3
    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    assert warehouse.bytes_received(PART) < manifest.mapped_bytes + 4 * MIB


def test_an_upload_needs_no_more_than_one_connection(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    others = [FTP() for _ in range(MOST_SESSIONS_PER_ADDRESS - 1)]  # noqa: S321 - they say nothing
    for other in others:
        other.connect("127.0.0.1", warehouse.port, PATIENCE_SECONDS)

    def once_more(_seconds: float) -> None:
        # The last place may be free only when the start has seen the end of its own look.
        assert "event='login'" not in warehouse.log()

    with warehouse.client("upload", give_up_after=PATIENCE_SECONDS, sleep=once_more) as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    for other in others:
        other.close()


def test_what_arrived_of_an_image_is_found_wherever_it_lies(warehouse: RealWarehouse, tmp_path: Path) -> None:
    manifest = make_image(tmp_path / "built")
    content = (tmp_path / "built" / IMAGE).read_bytes()
    upload_documents(warehouse, tmp_path / "built")
    store(warehouse, PART, content[60 * MIB : 68 * MIB], offset=60 * MIB)
    store(warehouse, PART, content[: MIB + 5])

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    short_hole = 2 * MIB
    assert warehouse.bytes_received(PART) == manifest.mapped_bytes + short_hole + 5


def test_a_canceled_upload_ends_and_goes_on_later(warehouse: RealWarehouse, tmp_path: Path) -> None:
    manifest = make_image(tmp_path / "built")
    done: list[int] = []

    with pytest.raises(TaskCanceled), warehouse.client("upload") as client:
        client.upload(
            DIGEST,
            tmp_path / "built",
            lambda sent, _total: done.append(sent),
            lambda: max(done, default=0) > MIB,
        )
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert 0 < max(done) < manifest.mapped_bytes
    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
