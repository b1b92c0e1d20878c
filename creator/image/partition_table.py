"""The image's partition table: a DOS table (MBR), because every Raspberry Pi boots from one."""

from __future__ import annotations

from pathlib import Path

from cardshop.fit import BOOT_BYTES, BOOT_OFFSET, Layout
from cardshop.programs import run

SECTOR_BYTES = 512
TABLE_BYTES = slice(440, 512)
"""What :func:`write_table` writes of the first sector: the disk's identity, the partitions, the end mark."""

_FAT32, _LINUX = "c", "83"


def write_table(image: Path, layout: Layout, label_id: int) -> None:
    """Writes the three partitions into the first sector; boot code that is there stays.

    Args:
        image: the image file, at its full size.
        layout: where root and data lie.
        label_id: the disk's identity, 32 bits, not 0.
    """
    partitions = (
        (BOOT_OFFSET, BOOT_BYTES, f"type={_FAT32}, bootable"),
        (layout.root_offset, layout.root_bytes, f"type={_LINUX}"),
        (layout.data_offset, layout.data_bytes, f"type={_LINUX}"),
    )
    lines = ["label: dos", f"label-id: 0x{label_id:08x}"]
    lines += [
        f"start={offset // SECTOR_BYTES}, size={length // SECTOR_BYTES}, {kind}"
        for offset, length, kind in partitions
    ]
    # It is a file: no kernel reads its table anew, and sfdisk would wait a quarter of a second for it.
    options = ("--quiet", "--wipe", "never", "--no-reread", "--no-tell-kernel")
    run(["sfdisk", *options, image], stdin="\n".join(lines).encode(), timeout=60)
