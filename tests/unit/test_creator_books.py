"""What a creator reads out of ZIM files that others made, damaged ones too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cardshop.contract.errors import ContentDamaged
from cardshop.contract.tasks import Content
from creator.books import check_zim, read_books
from tests.zims import damaged_copies, make_zim


def test_whatever_the_damage_it_is_told_of_the_content_and_is_no_fault_of_the_program(tmp_path: Path) -> None:
    sound = make_zim(tmp_path / "sound.zim").read_bytes()
    content = Content(
        "demo:faq:", "FAQ", "eng", "faq.zim", "https://mirror/faq.zim", (), len(sound), "c" * 64
    )
    path = tmp_path / "damaged.zim"
    told = 0

    for damaged in damaged_copies(sound, 300):
        path.write_bytes(damaged)
        with suppress(ContentDamaged):
            check_zim(content, path)
            read_books([(content, path)])
            continue
        told += 1

    assert told > 10
