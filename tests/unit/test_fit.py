from __future__ import annotations

import random
from pathlib import Path

import pytest

from cardshop.contract.errors import DoesNotFit, ProgramFailed
from cardshop.fit import (
    ALIGNMENT,
    BLOCK_BYTES,
    BOOT_BYTES,
    BOOT_OFFSET,
    MIB,
    data_free_bytes,
    forecast,
    layout,
    shelf_bytes,
)
from creator.image.data_partition import make_file_system
from creator.image.ext4 import ROOT_INODE, Ext4
from scheduler.domain.media import size_of

GIB = 1024 * MIB
ROOT_BYTES = 24 * MIB
DIGEST = "5a" * 32


def make_image(folder: Path, image_bytes: int) -> tuple[Path, int]:
    image, parts = folder / "i.img", layout(image_bytes, ROOT_BYTES)
    with image.open("wb") as file:
        file.truncate(image_bytes)
    make_file_system(image, parts, DIGEST, 1)
    return image, parts.data_offset


def largest_beside(sizes: list[int], image_bytes: int) -> int:
    """The largest file that is said to fit beside the others."""
    size = forecast(image_bytes, ROOT_BYTES, [*sizes, 0]).free_bytes // BLOCK_BYTES * BLOCK_BYTES
    while not forecast(image_bytes, ROOT_BYTES, [*sizes, size]).fits:  # its extents need blocks of their own
        size -= BLOCK_BYTES
    return size


@pytest.mark.parametrize(
    "image_bytes",
    [
        *(640 * MIB, 672 * MIB, 676 * MIB, 680 * MIB, 1000 * MIB, 1704 * MIB, 2 * GIB),
        *(
            int(0.97 * gigabytes * 10**9) // ALIGNMENT * ALIGNMENT
            for gigabytes in (8, 16, 64, 128, 512, 1000)
        ),
    ],
)
def test_the_forecast_is_what_mke2fs_leaves_free(tmp_path: Path, image_bytes: int) -> None:
    image, offset = make_image(tmp_path, image_bytes)

    with Ext4(image, offset, now=1) as system:
        system.make_folder(ROOT_INODE, "contents")
        system.make_folder(ROOT_INODE, "portal")
        free = system.free_bytes

    assert free == data_free_bytes(image_bytes - offset)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_said_to_fit_does_fit_and_little_is_left(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - sizes, no secret
    image_bytes = chance.randrange(700, 20_000, 4) * MIB
    image, offset = make_image(tmp_path, image_bytes)
    sizes = [chance.randrange(1, image_bytes // 12) for _ in range(8)]
    sizes.append(largest_beside(sizes, image_bytes))
    assert forecast(image_bytes, ROOT_BYTES, sizes).fits

    with Ext4(image, offset, now=1) as system:
        folder = system.make_folder(ROOT_INODE, "contents")
        system.make_folder(ROOT_INODE, "portal")
        system.allocate(folder, "library.xml", shelf_bytes(len(sizes)))
        for number, size in enumerate(sizes):
            system.allocate(folder, f"{number}.zim", size)
        left = system.free_bytes

    assert 0 <= left < MIB


@pytest.mark.parametrize("nominal_gb", [8, 32, 128, 512])
@pytest.mark.parametrize("files", [3, 60, 300])
def test_the_forecast_of_a_filled_card_is_right_to_a_mebibyte(
    tmp_path: Path, nominal_gb: int, files: int
) -> None:
    chance = random.Random(nominal_gb * files)  # noqa: S311 - sizes, no secret
    image_bytes = size_of(nominal_gb)
    image, offset = make_image(tmp_path, image_bytes)
    shares = [chance.random() + 0.01 for _ in range(files)]
    to_fill = forecast(image_bytes, ROOT_BYTES, [0] * files).free_bytes * 0.98
    sizes = [int(share / sum(shares) * to_fill) for share in shares]
    told = forecast(image_bytes, ROOT_BYTES, sizes)
    assert told.fits

    with Ext4(image, offset, now=1) as system:
        folder = system.make_folder(ROOT_INODE, "contents")
        system.make_folder(ROOT_INODE, "portal")
        system.allocate(folder, "library.xml", shelf_bytes(files))
        for number, size in enumerate(sizes):  # blocks without bytes: the image stays sparse
            system.allocate(folder, f"a content's name, {number}.zim", size)
        left = system.free_bytes

    assert 0 <= left - told.free_bytes < MIB


def test_one_block_too_much_does_not_fit() -> None:
    free = largest_beside([], GIB)

    assert forecast(GIB, ROOT_BYTES, [free]).fits
    assert not forecast(GIB, ROOT_BYTES, [free + BLOCK_BYTES]).fits


def test_a_data_partition_too_small_for_its_journal_holds_nothing(tmp_path: Path) -> None:
    base = BOOT_OFFSET + BOOT_BYTES + ROOT_BYTES

    with pytest.raises(ProgramFailed, match="mke2fs"):
        make_image(tmp_path, base + 32 * MIB)
    assert not forecast(base + 32 * MIB, ROOT_BYTES, [1]).fits

    make_image(tmp_path, base + 36 * MIB)
    assert forecast(base + 36 * MIB, ROOT_BYTES, [1]).fits


def test_a_card_smaller_than_its_base_is_said_to_be_too_small() -> None:
    fit = forecast(512 * MIB, ROOT_BYTES, [])

    assert not fit.fits
    assert data_free_bytes(0) == 0


def test_the_rows_and_what_is_free_add_up_to_the_image() -> None:
    fit = forecast(GIB, ROOT_BYTES, [5 * MIB + 1, 7])

    assert sum(row.bytes for row in fit.rows) + fit.free_bytes == GIB
    assert [row.what for row in fit.rows] == ["boot", "system", "file system", "contents"]


def test_partitions_begin_at_whole_erase_blocks() -> None:
    parts = layout(GIB, ROOT_BYTES + BLOCK_BYTES)

    assert parts.root_offset == BOOT_OFFSET + BOOT_BYTES
    assert parts.data_offset % ALIGNMENT == 0
    assert parts.data_offset >= parts.root_offset + ROOT_BYTES + BLOCK_BYTES
    assert parts.data_offset + parts.data_bytes == GIB


@pytest.mark.parametrize("image_bytes", [0, -ALIGNMENT, GIB + 1, 2**41 + ALIGNMENT])
def test_a_size_that_no_image_can_have_is_refused(image_bytes: int) -> None:
    with pytest.raises(ValueError, match="no image has"):
        layout(image_bytes, ROOT_BYTES)


def test_a_file_too_large_for_the_partition_is_one_clear_error(tmp_path: Path) -> None:
    image, offset = make_image(tmp_path, 640 * MIB)

    with Ext4(image, offset, now=1) as system, pytest.raises(DoesNotFit, match="full"):
        system.allocate(ROOT_INODE, "large", 2 * GIB)
