from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from ftplib import error_perm
from itertools import pairwise
from pathlib import Path

import pytest

from cardshop.contract.errors import ImageDamaged, NotFound
from cardshop.image_format import BlockMap
from cardshop.stack.waiting import wait_for
from tests.real_services import PATIENCE_SECONDS
from tests.warehouses import (
    DIGEST,
    MIB,
    OTHER_DIGEST,
    RealWarehouse,
    disk_bytes,
    make_image,
    names,
    real_warehouse,
    same_bytes,
    silent,
)

IMAGE = f"{DIGEST}.img"
PART = f"{IMAGE}.part"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[RealWarehouse]:
    with real_warehouse(tmp_path) as running:
        yield running


def test_an_image_comes_back_as_it_was_uploaded_holes_included(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    manifest = make_image(tmp_path / "built")

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    with warehouse.client("download") as client:
        fetched = client.download(DIGEST, tmp_path / "fetched", silent)

    assert fetched == manifest
    for place in (warehouse.images, tmp_path / "fetched"):
        assert same_bytes(place / IMAGE, tmp_path / "built" / IMAGE)
        assert disk_bytes(place / IMAGE) <= manifest.mapped_bytes + 3 * MIB
        assert BlockMap.from_file(place / f"{DIGEST}.bmap").chunks == manifest.chunks
    assert names(tmp_path / "fetched") == names(warehouse.images)


def test_progress_counts_mapped_bytes_once_and_ends_at_their_sum(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    manifest = make_image(tmp_path / "built")
    up: list[int] = []
    down: list[int] = []

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", lambda done, _total: up.append(done))
    with warehouse.client("download") as client:
        client.download(DIGEST, tmp_path / "fetched", lambda done, _total: down.append(done))

    for seen in (up, down):
        assert seen[-1] == manifest.mapped_bytes
        assert all(earlier <= later for earlier, later in pairwise(seen))
        assert len(seen) > len(manifest.chunks)


def test_a_download_fetches_a_chunk_again_that_was_spoiled_on_this_side(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    spoiled = tmp_path / "fetched" / PART
    spoiled.parent.mkdir()
    content = bytearray((tmp_path / "built" / IMAGE).read_bytes())
    content[9 * MIB] ^= 1
    spoiled.write_bytes(content)
    (tmp_path / "fetched" / f"{DIGEST}.json").write_bytes(
        (tmp_path / "built" / f"{DIGEST}.json").read_bytes()
    )
    done: list[int] = []

    with warehouse.client("download") as client:
        manifest = client.download(DIGEST, tmp_path / "fetched", lambda got, _total: done.append(got))

    assert same_bytes(tmp_path / "fetched" / IMAGE, tmp_path / "built" / IMAGE)
    assert done[0] == manifest.mapped_bytes - 4 * MIB


def test_a_download_never_gives_an_image_that_is_not_its_manifests(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    with (warehouse.images / IMAGE).open("r+b") as kept:
        kept.seek(60 * MIB)
        kept.write(b"a disk that forgets")

    with pytest.raises(ImageDamaged, match=str(60 * MIB)), warehouse.client("download") as client:
        client.download(DIGEST, tmp_path / "fetched", silent)

    assert not (tmp_path / "fetched" / IMAGE).exists()


def test_two_writers_of_one_host_fetch_an_image_once(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    at_once(*[lambda: fetch(warehouse, tmp_path / "fetched")] * 2)

    assert same_bytes(tmp_path / "fetched" / IMAGE, tmp_path / "built" / IMAGE)
    assert warehouse.log().count("event='sent' file='" + f"{DIGEST}.json'") == 1


def test_two_hosts_fetch_at_once(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    at_once(lambda: fetch(warehouse, tmp_path / "one"), lambda: fetch(warehouse, tmp_path / "two"))

    for host in ("one", "two"):
        assert same_bytes(tmp_path / host / IMAGE, tmp_path / "built" / IMAGE)


def test_a_slow_scheduler_holds_up_nobody_who_is_logged_in(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    ftp = warehouse.ftp(warehouse.scheduler.token("upload"))
    with warehouse.scheduler.answering_nobody():
        asking = threading.Thread(target=lambda: warehouse.ftp(warehouse.scheduler.token("upload")).close())
        asking.start()
        assert warehouse.scheduler.waiting.acquire(timeout=PATIENCE_SECONDS)

        stored_size = ftp.sendcmd("NOOP")

    asking.join()
    assert stored_size.startswith("200")
    ftp.close()


def test_any_ftps_client_can_fetch_an_image_with_its_token(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login token password {warehouse.scheduler.token('download')}\n")

    subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--fail", "--ssl-reqd", "--cacert", str(warehouse.ca_file)),
            *("--netrc-file", str(netrc), "--output", str(tmp_path / "by-curl")),
            f"ftp://127.0.0.1:{warehouse.port}/{IMAGE}",
        ],
        check=True,
        timeout=PATIENCE_SECONDS,
    )

    assert same_bytes(tmp_path / "by-curl", tmp_path / "built" / IMAGE)


def test_sessions_leave_no_thread_and_no_descriptor_behind(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    before = resources(warehouse.pid)

    for turn in range(5):
        fetch(warehouse, tmp_path / f"fetched-{turn}")
        cut = warehouse.ftp(warehouse.scheduler.token("download"))
        with cut.transfercmd(f"RETR {IMAGE}") as channel:
            channel.recv(1000)
        cut.close()

    wait_for("the end of the sessions", lambda: resources(warehouse.pid) <= before, PATIENCE_SECONDS)


def test_the_warehouse_ends_cleanly_when_told_to(warehouse: RealWarehouse) -> None:
    open_session = warehouse.ftp(warehouse.scheduler.token("upload"))

    status = warehouse.stop()

    assert status == 0
    open_session.close()
    warehouse.start()


def test_a_token_of_another_image_finds_nothing(warehouse: RealWarehouse, tmp_path: Path) -> None:
    with pytest.raises(NotFound), warehouse.client("download", OTHER_DIGEST) as client:
        client.download(OTHER_DIGEST, tmp_path / "fetched", silent)


def test_an_expired_token_ends_an_open_sessions_rights(warehouse: RealWarehouse) -> None:
    ftp = warehouse.ftp(warehouse.scheduler.token("upload", life=timedelta(seconds=1)))

    wait_for("the end of the token", lambda: "530" in reply_of(ftp.sendcmd, f"SIZE {PART}"), PATIENCE_SECONDS)

    assert "expired" in reply_of(ftp.sendcmd, f"SIZE {PART}")
    ftp.close()


def reply_of(send: Callable[[str], str], command: str) -> str:
    try:
        return send(command)
    except error_perm as error:
        return str(error)


def fetch(warehouse: RealWarehouse, folder: Path) -> None:
    with warehouse.client("download") as client:
        client.download(DIGEST, folder, silent)


def at_once(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def resources(pid: int) -> tuple[int, int]:
    """Threads and open descriptors of a process."""
    process = Path(f"/proc/{pid}")
    return len(names(process / "task")), len(names(process / "fd"))
