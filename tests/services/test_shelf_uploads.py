"""ZIM files come onto the shelf over the real FTPS server: whole and sound, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ftplib import error_perm, error_temp
from pathlib import Path

import pytest

from cardshop.contract.errors import (
    Conflict,
    ContentDamaged,
    InvalidInput,
    MirrorRefused,
    NoSpace,
    NotAllowed,
    NotFound,
)
from cardshop.metalink import read_metalink
from cardshop.stack.waiting import wait_for
from creator.cache import Cache
from creator.fetch import fetch
from tests.card_library import a_content
from tests.image_plans import WEB
from tests.lines import ProneLine
from tests.real_services import PATIENCE_SECONDS
from tests.served_shelf import asked, served_shelf
from tests.warehouses import MIB, RealWarehouse, make_image, names, real_warehouse, silent
from tests.zims import make_zim
from warehouse.shelving import ABANDONED, ShelfFolder

ENDLESS = "1000000000000000000"
"""More bytes than any disk has."""


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[RealWarehouse]:
    with real_warehouse(tmp_path) as running:
        yield running


@pytest.fixture
def zim(tmp_path: Path) -> Path:
    """A file that takes a while: four mebibytes of it can't be packed."""
    return make_zim(tmp_path / "guide.zim", "A guide", files={"noise": os.urandom(4 * MIB)})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shelve(warehouse: RealWarehouse, file: Path, name: str = "", *, replace: bool = False) -> None:
    with warehouse.client("shelve") as client:
        client.shelve(file, sha256(file), name or file.name, replace=replace, observe=silent)


def damaged(zim: Path) -> Path:
    with zim.open("r+b") as file:
        file.seek(zim.stat().st_size // 2)
        file.write(b"\xff" * 8)
    return zim


def test_an_upload_is_on_the_shelf_byte_for_byte_and_listed(warehouse: RealWarehouse, zim: Path) -> None:
    shelve(warehouse, zim)

    with warehouse.client("shelve") as client:
        (listed,) = client.shelf()
    assert (warehouse.shelf / "guide.zim").read_bytes() == zim.read_bytes()
    assert names(warehouse.shelf) == ["guide.zim"]
    assert (listed.name, listed.size_bytes) == ("guide.zim", zim.stat().st_size)
    assert datetime.now(UTC) - datetime.fromisoformat(listed.changed_at) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "name",
    [
        *("a guide (1).zim", "Éducation.zim", "教育+2.zim", "x" * 251 + ".zim", "_.zim", "a&b;c=d.zim"),
        *("what?.zim", "a#b.zim", "100%.zim", "50%25.zim", 'it\'s "so".zim'),
    ],
)
def test_a_name_is_kept_as_it_was_given(warehouse: RealWarehouse, zim: Path, name: str) -> None:
    shelve(warehouse, zim, name)

    with warehouse.client("shelve") as client:
        assert [file.name for file in client.shelf()] == [name] == names(warehouse.shelf)
        client.take_off(name)
    assert names(warehouse.shelf) == []


def test_an_upload_goes_on_where_the_line_was_cut(tmp_path: Path, zim: Path) -> None:
    with real_warehouse(tmp_path, host="127.0.0.2") as warehouse, ProneLine(warehouse) as line:
        part = f"{sha256(zim)}.zim.part"
        cut: list[int] = []

        def cut_once(done: int, _total: int) -> None:
            if done > 2 * MIB and not cut:
                cut.append(done)
                line.cut()
                # What was on its way still arrives: an upload that asks before that sends it again.
                wait_for(
                    "the cut session's end", lambda: f"file='{part}'" in warehouse.log(), PATIENCE_SECONDS
                )

        with warehouse.client("shelve") as client:
            client.shelve(zim, sha256(zim), zim.name, replace=False, observe=cut_once)

        assert line.cuts > 0
        assert (warehouse.shelf / "guide.zim").read_bytes() == zim.read_bytes()
        assert warehouse.bytes_received(part) == zim.stat().st_size


def test_an_upload_goes_on_after_the_warehouse_was_killed(warehouse: RealWarehouse, zim: Path) -> None:
    killed: list[int] = []

    def kill_once(done: int, _total: int) -> None:
        if done > 2 * MIB and not killed:
            killed.append(done)
            warehouse.restart(signal.SIGKILL)

    with warehouse.client("shelve") as client:
        client.shelve(zim, sha256(zim), zim.name, replace=False, observe=kill_once)

    assert killed
    assert (warehouse.shelf / "guide.zim").read_bytes() == zim.read_bytes()
    assert names(warehouse.shelf) == ["guide.zim"]


def test_another_file_does_not_go_on_from_the_part_of_one_of_its_name(
    warehouse: RealWarehouse, zim: Path, tmp_path: Path
) -> None:
    leave_part(warehouse, zim, MIB)
    (tmp_path / "new").mkdir()
    other = make_zim(tmp_path / "new" / "guide.zim", "A newer guide", files={"noise": os.urandom(2 * MIB)})

    shelve(warehouse, other)

    assert (warehouse.shelf / "guide.zim").read_bytes() == other.read_bytes()


def test_a_part_that_was_spoilt_is_sent_once_more_whole(warehouse: RealWarehouse, zim: Path) -> None:
    leave_part(warehouse, zim, MIB)
    with (warehouse.shelf / f"{sha256(zim)}.zim.part").open("r+b") as spoilt:
        spoilt.write(b"\0" * 4096)

    shelve(warehouse, zim)

    assert (warehouse.shelf / "guide.zim").read_bytes() == zim.read_bytes()


def test_a_damaged_file_is_refused_and_nothing_of_it_is_left(warehouse: RealWarehouse, zim: Path) -> None:
    with pytest.raises(InvalidInput, match="inner checksum is wrong"):
        shelve(warehouse, damaged(zim))

    assert names(warehouse.shelf) == []


def test_a_file_that_is_no_zim_file_is_refused_and_nothing_of_it_is_left(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    (tmp_path / "guide.zim").write_bytes(os.urandom(MIB))

    with pytest.raises(InvalidInput, match="no ZIM file"):
        shelve(warehouse, tmp_path / "guide.zim")

    assert names(warehouse.shelf) == []


def test_a_damaged_file_leaves_the_one_that_it_was_to_replace(
    warehouse: RealWarehouse, zim: Path, tmp_path: Path
) -> None:
    shelve(warehouse, zim)
    before = zim.read_bytes()

    with pytest.raises(InvalidInput):
        shelve(warehouse, damaged(zim), replace=True)

    assert (warehouse.shelf / "guide.zim").read_bytes() == before
    assert names(warehouse.shelf) == ["guide.zim"]


def test_a_file_of_the_same_name_is_replaced_only_when_asked(
    warehouse: RealWarehouse, zim: Path, tmp_path: Path
) -> None:
    shelve(warehouse, zim)
    other = make_zim(tmp_path / "other.zim", "A newer guide")

    with pytest.raises(Conflict, match=r"another guide\.zim"):
        shelve(warehouse, other, "guide.zim")
    assert (warehouse.shelf / "guide.zim").read_bytes() == zim.read_bytes()
    assert warehouse.bytes_received(f"{sha256(other)}.zim.part") == 0
    shelve(warehouse, other, "guide.zim", replace=True)

    assert (warehouse.shelf / "guide.zim").read_bytes() == other.read_bytes()
    assert names(warehouse.shelf) == ["guide.zim"]


def test_a_file_that_somebody_else_put_there_meanwhile_is_not_replaced(
    warehouse: RealWarehouse, zim: Path, tmp_path: Path
) -> None:
    leave_part(warehouse, zim, zim.stat().st_size)
    other = make_zim(warehouse.shelf / "guide.zim", "By hand").read_bytes()

    with (
        warehouse.ftp(warehouse.scheduler.token("shelve")) as ftp,
        pytest.raises(error_perm, match="not to be replaced"),
    ):
        ftp.rename(f"{sha256(zim)}.zim.part", "guide.zim")

    assert (warehouse.shelf / "guide.zim").read_bytes() == other


def test_a_damaged_file_that_was_cut_is_not_sent_twice(warehouse: RealWarehouse, zim: Path) -> None:
    leave_part(warehouse, damaged(zim), MIB)

    with pytest.raises(InvalidInput, match="inner checksum is wrong"):
        shelve(warehouse, zim)

    assert warehouse.bytes_received(f"{sha256(zim)}.zim.part") == zim.stat().st_size
    assert names(warehouse.shelf) == []


def test_a_file_that_is_there_is_not_sent_again(warehouse: RealWarehouse, zim: Path) -> None:
    shelve(warehouse, zim)

    shelve(warehouse, zim)

    assert warehouse.bytes_received(f"{sha256(zim)}.zim.part") == zim.stat().st_size


def test_who_reads_a_file_that_is_replaced_or_deleted_reads_it_to_its_end(
    warehouse: RealWarehouse, zim: Path, tmp_path: Path
) -> None:
    shelve(warehouse, zim)
    with (warehouse.shelf / "guide.zim").open("rb") as reader:
        first = reader.read(MIB)

        shelve(warehouse, make_zim(tmp_path / "other.zim"), "guide.zim", replace=True)
        with warehouse.client("shelve") as client:
            client.take_off("guide.zim")

        assert first + reader.read() == zim.read_bytes()
    assert names(warehouse.shelf) == []


def test_a_build_that_fetches_a_file_gets_the_one_that_was_ordered_or_one_clear_error(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    ordered = make_zim(tmp_path / "guide.zim", "A guide", files={"noise": os.urandom(24 * MIB)})
    newer = make_zim(tmp_path / "newer.zim", "A newer one", files={"noise": os.urandom(24 * MIB)})
    shelve(warehouse, ordered)
    os.utime(warehouse.shelf / "guide.zim", (time.time() - 60,) * 2)
    replaced: list[int] = []

    def replace_once(done: int, _total: int) -> None:
        if done and not replaced:
            replaced.append(done)
            shelve(warehouse, newer, "guide.zim", replace=True)

    with served_shelf(warehouse.shelf, tmp_path / "state") as shelf:
        shelf.wait_for_files(1)
        address = f"{shelf.url}/files/guide.zim"
        link = read_metalink(asked(f"{address}.meta4").content, url=address)
        content = a_content(ordered, url=link.urls[0], sha256=link.sha256, metalink=f"{address}.meta4")
        cache = Cache(tmp_path / "cache")
        try:
            fetched = fetch(content, cache, WEB, replace_once, lambda _path: None)
        except (ContentDamaged, MirrorRefused):
            assert not cache.has(content.sha256, content.size_bytes)
        else:
            assert fetched.read_bytes() == ordered.read_bytes()

    assert replaced
    assert (warehouse.shelf / "guide.zim").read_bytes() == newer.read_bytes()


def test_a_file_that_is_not_there_can_not_be_deleted(warehouse: RealWarehouse) -> None:
    with pytest.raises(NotFound, match=r"no file guide\.zim"), warehouse.client("shelve") as client:
        client.take_off("guide.zim")


def test_a_file_that_is_too_large_is_refused_before_a_byte_of_it(tmp_path: Path, zim: Path) -> None:
    with real_warehouse(tmp_path, CARDSHOP_SHELF_FILE_BYTES="1000000") as warehouse:
        with pytest.raises(InvalidInput, match=r"up to 1\.0 MB"):
            shelve(warehouse, zim)

        assert warehouse.bytes_received(f"{sha256(zim)}.zim.part") == 0
        assert names(warehouse.shelf) == []


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_a_byte_of_it(tmp_path: Path) -> None:
    with real_warehouse(tmp_path, CARDSHOP_SHELF_FILE_BYTES=ENDLESS) as warehouse:
        more_than_is_free = shutil.disk_usage(warehouse.shelf).total
        with warehouse.ftp(warehouse.scheduler.token("shelve")) as ftp:
            ftp.sendcmd(f"ALLO {more_than_is_free}")
            with pytest.raises(error_perm, match=r"552 .* GB to give; the file needs"):
                ftp.transfercmd(f"STOR {'a' * 64}.zim.part")

        assert names(warehouse.shelf) == []


def test_two_uploads_are_not_promised_the_same_room(tmp_path: Path) -> None:
    room = shutil.disk_usage(tmp_path).free // 10 * 6
    folder = ShelfFolder(tmp_path, largest_bytes=int(ENDLESS))
    first = folder.open_part("a.zim.part", 0, room)

    with pytest.raises(NoSpace):
        folder.open_part("b.zim.part", 0, room)
    first.close()

    folder.open_part("b.zim.part", 0, room).close()


def test_more_than_was_announced_is_not_taken(warehouse: RealWarehouse, zim: Path) -> None:
    with pytest.raises(error_temp, match="larger than it may be"):
        leave_part(warehouse, zim, MIB, announced=MIB - 1)


def test_abandoned_parts_are_deleted_and_those_that_grow_stay(tmp_path: Path) -> None:
    abandoned, growing = (f"{letter * 64}.zim.part" for letter in "ab")
    others = ["guide.zim", "somebody's.zim.part"]
    for name in (abandoned, growing, *others):
        (tmp_path / name).write_bytes(b"x")
    week_ago = time.time() - ABANDONED.total_seconds() - 60
    for name in (abandoned, *others):
        os.utime(tmp_path / name, (week_ago, week_ago))

    ShelfFolder(tmp_path, largest_bytes=1).drop_abandoned(datetime.now(UTC))

    assert names(tmp_path) == sorted([growing, *others])


def test_a_shop_without_a_shelf_says_so(tmp_path: Path, zim: Path) -> None:
    with real_warehouse(tmp_path, CARDSHOP_SHELF="") as warehouse:
        with pytest.raises(Conflict, match="takes no uploads"):
            shelve(warehouse, zim)
        with pytest.raises(Conflict, match="takes no uploads"), warehouse.client("shelve") as client:
            client.shelf()


def test_a_folder_that_can_not_be_written_is_said_to_be_so(tmp_path: Path, zim: Path) -> None:
    nobody_may_write_here = "/sys"  # not even root

    with (
        real_warehouse(tmp_path, CARDSHOP_SHELF=nobody_may_write_here) as warehouse,
        pytest.raises(Conflict, match="may not write"),
    ):
        shelve(warehouse, zim)


def test_a_token_for_the_shelf_opens_no_image(warehouse: RealWarehouse, tmp_path: Path) -> None:
    manifest = make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(manifest.digest, tmp_path / "built", silent)

    with pytest.raises(NotAllowed), warehouse.client("shelve") as client:
        client.download(manifest.digest, tmp_path / "fetched", silent)


def leave_part(warehouse: RealWarehouse, zim: Path, length: int, announced: int = 0) -> None:
    """Leaves what a cut upload would: the first bytes of the file are there."""
    with warehouse.ftp(warehouse.scheduler.token("shelve")) as ftp:
        ftp.sendcmd(f"ALLO {announced or zim.stat().st_size}")
        with ftp.transfercmd(f"STOR {sha256(zim)}.zim.part") as channel, suppress(OSError):
            channel.sendall(zim.read_bytes()[:length])
            channel.unwrap()  # type: ignore[attr-defined]  # the channel is protected
        ftp.voidresp()
