"""Connections that break: what is killed or cut, and what must hold."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cardshop.contract.errors import Unavailable
from cardshop.image_format import CHUNK_BYTES
from cardshop.stack.waiting import wait_for
from cardshop.transfer.upload import CONNECTIONS
from tests.lines import ProneLine
from tests.real_services import PATIENCE_SECONDS
from tests.warehouses import DIGEST, MIB, RealWarehouse, make_image, names, real_warehouse, same_bytes, silent

IMAGE = f"{DIGEST}.img"
PART = f"{IMAGE}.part"
SHORT_HOLE = 2 * MIB  # the one of the image that is sent along

UPLOAD_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from cardshop.warehouse_client import Warehouse

host, port, ca_file, digest, folder, last = sys.argv[1:]

def die(done, total):
    if done >= int(last):
        os.kill(os.getpid(), signal.SIGKILL)

with Warehouse(host, int(port), Path(ca_file), sys.stdin.read()) as warehouse:
    warehouse.upload(digest, Path(folder), die)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[RealWarehouse]:
    with real_warehouse(tmp_path) as running:
        yield running


def once(at: int, act: Callable[[], None], seen: list[int]) -> Callable[[int, int], None]:
    """Observes; acts the first time that ``at`` bytes are done."""

    def observe(done: int, _total: int) -> None:
        if done >= at and not any(earlier >= at for earlier in seen):
            act()
        seen.append(done)

    return observe


def test_an_upload_whose_process_was_killed_goes_on_without_sending_twice(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    manifest = make_image(tmp_path / "built")
    killed = subprocess.run(
        [
            *(sys.executable, "-c", UPLOAD_UNTIL_KILLED, "127.0.0.1", str(warehouse.port)),
            *(str(warehouse.ca_file), DIGEST, str(tmp_path / "built"), str(19 * MIB)),
        ],
        input=warehouse.scheduler.token("upload").encode(),
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    # The rest was on its way: three connections' buffers hold much. Each of them is told of at its end.
    wait_for("the cut sessions' end", lambda: warehouse.bytes_received(PART) > 4 * MIB, PATIENCE_SECONDS)
    assert names(warehouse.images) == [f"{DIGEST}.bmap", PART, f"{DIGEST}.json"]

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    assert warehouse.bytes_received(PART) < manifest.mapped_bytes + SHORT_HOLE + CONNECTIONS * CHUNK_BYTES


def test_an_upload_goes_on_by_itself_after_the_line_was_cut(tmp_path: Path) -> None:
    with real_warehouse(tmp_path, host="127.0.0.2") as warehouse, ProneLine(warehouse) as line:
        manifest = make_image(tmp_path / "built")
        seen: list[int] = []

        with warehouse.client("upload") as client:
            client.upload(DIGEST, tmp_path / "built", once(9 * MIB, line.cut, seen))

        assert line.cuts > 0
        assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
        assert warehouse.bytes_received(PART) < manifest.mapped_bytes + SHORT_HOLE + CONNECTIONS * CHUNK_BYTES


def test_a_download_goes_on_by_itself_after_the_line_was_cut(tmp_path: Path) -> None:
    with real_warehouse(tmp_path, host="127.0.0.2") as warehouse, ProneLine(warehouse) as line:
        make_image(tmp_path / "built")
        with warehouse.client("upload") as client:
            client.upload(DIGEST, tmp_path / "built", silent)
        seen: list[int] = []

        with warehouse.client("download") as client:
            client.download(DIGEST, tmp_path / "fetched", once(9 * MIB, line.cut, seen))

        assert line.cuts > 0
        assert same_bytes(tmp_path / "fetched" / IMAGE, tmp_path / "built" / IMAGE)
        assert all(earlier <= later for earlier, later in pairwise(seen))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_upload_outlives_the_warehouse(
    warehouse: RealWarehouse, tmp_path: Path, how: signal.Signals
) -> None:
    make_image(tmp_path / "built")
    seen: list[int] = []

    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", once(9 * MIB, lambda: warehouse.restart(how), seen))

    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)
    assert names(warehouse.images) == [f"{DIGEST}.bmap", IMAGE, f"{DIGEST}.json"]


def test_a_download_outlives_the_warehouse_and_fetches_no_chunk_twice(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    with warehouse.client("upload") as client:
        client.upload(DIGEST, tmp_path / "built", silent)
    seen: list[int] = []

    with warehouse.client("download") as client:
        client.download(
            DIGEST,
            tmp_path / "fetched",
            once(9 * MIB, lambda: warehouse.restart(signal.SIGKILL), seen),
        )

    assert same_bytes(tmp_path / "fetched" / IMAGE, tmp_path / "built" / IMAGE)
    assert all(earlier <= later for earlier, later in pairwise(seen))


def test_an_upload_waits_for_a_scheduler_that_is_away(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path / "built")
    warehouse.scheduler.away = True
    pauses: list[float] = []

    def come_back(seconds: float) -> None:
        pauses.append(seconds)
        warehouse.scheduler.away = len(pauses) < 5

    with warehouse.client("upload", sleep=come_back) as client:
        client.upload(DIGEST, tmp_path / "built", silent)

    assert len(pauses) == 5
    assert same_bytes(warehouse.images / IMAGE, tmp_path / "built" / IMAGE)


def test_a_transfer_gives_up_when_nothing_moves_for_too_long(
    warehouse: RealWarehouse, tmp_path: Path
) -> None:
    make_image(tmp_path / "built")
    now = 0.0
    warehouse.stop()

    def pass_time(_seconds: float) -> None:
        nonlocal now
        now += 20

    with (
        pytest.raises(Unavailable),
        warehouse.client("upload", give_up_after=100.0, clock=lambda: now, sleep=pass_time) as client,
    ):
        client.upload(DIGEST, tmp_path / "built", silent)

    assert now == 100
    warehouse.start()
