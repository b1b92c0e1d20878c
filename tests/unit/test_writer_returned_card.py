"""A card that comes back: only what differs is written, and nothing is believed that was not read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardshop.image_format import Manifest
from creator.plan import BuiltImage
from tests.cards import MIB, Listener
from tests.returned_cards import chunks_in_common, returned_card, rewrite
from tests.written_cards import Written, build_zim_image


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    return build_zim_image(tmp_path_factory.mktemp("first"), "First edition")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    return build_zim_image(tmp_path_factory.mktemp("second"), "Second edition")


@pytest.fixture
def returned(tmp_path: Path, first: BuiltImage) -> Written:
    """A card with the first edition, in the slot."""
    return returned_card(tmp_path, first)


def test_only_what_differs_is_written(
    tmp_path: Path, returned: Written, first: BuiltImage, second: BuiltImage
) -> None:
    common = sum(chunk.length for chunk in chunks_in_common(first, second))
    listener = Listener()

    written = rewrite(tmp_path, second, listener)

    to_write = [total for phase, _done, total in listener.told if phase == "write"][-1]
    mapped = Manifest.from_file(second.manifest).mapped_bytes
    assert common > MIB
    assert written.kept_bytes == common
    assert mapped - common - 4 * MIB <= to_write < mapped - common
    assert written.verified_bytes == mapped
    assert f"{common} bytes were on the card already, and were not written again." in listener.lines
    assert returned.check().verdict == "good"


def test_a_card_whose_manifest_lies_is_caught_by_reading(
    tmp_path: Path, returned: Written, first: BuiltImage, second: BuiltImage
) -> None:
    common = sorted(chunks_in_common(first, second), key=lambda chunk: chunk.offset)
    lies = common[-2:]
    for chunk in lies:
        returned.flip(chunk.offset + chunk.length // 2, 3)

    written = rewrite(tmp_path, second, Listener())

    assert written.kept_bytes == sum(chunk.length for chunk in common) - sum(chunk.length for chunk in lies)
    assert returned.check().verdict == "good"


def test_a_card_whose_manifest_is_damaged_is_written_whole(
    tmp_path: Path, returned: Written, second: BuiltImage
) -> None:
    own = returned.manifest.own
    assert own is not None
    for block in range(0, own.length, 4096):
        returned.flip(own.offset + block, 7)

    written = rewrite(tmp_path, second, Listener())

    assert written.kept_bytes == 0
    assert returned.check().verdict == "good"


def test_the_same_image_again_is_read_and_hardly_written(
    tmp_path: Path, returned: Written, first: BuiltImage
) -> None:
    listener = Listener()

    written = rewrite(tmp_path, first, listener)

    to_write = [total for phase, _done, total in listener.told if phase == "write"]
    assert max(to_write) < MIB
    assert written.verified_bytes - written.kept_bytes < 8 * MIB
    assert returned.check().verdict == "good"
