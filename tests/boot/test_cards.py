"""Cards of the real amd64 base, started as a creator tries them (make test-boot)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardshop.contract.errors import BootFailed
from cardshop.image_format import PNG
from cardshop.machines import PC
from creator.boot_proof import BootProof, prove_boots
from tests.boot.real_bases import CONFIGURATION, ZIMS, build_card

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BOOT_SECONDS = 400.0


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An image, and where its data partition begins."""
    built, data_offset = build_card(tmp_path_factory.mktemp("card"), "amd64")
    return built.image, data_offset


def prove(card: tuple[Path, int], picture: Path, told: list[tuple[int, int]], **other: str) -> BootProof:
    image, data_offset = card
    return prove_boots(
        image,
        PC,
        configuration=CONFIGURATION | other,
        data_offset=data_offset,
        picture=picture,
        timeout=BOOT_SECONDS,
        tell=lambda done, total: told.append((done, total)),
    )


def test_a_card_gives_all_that_was_ordered_and_is_not_changed_by_that(
    card: tuple[Path, int], tmp_path: Path
) -> None:
    before, picture, told = sha256_of(card[0]), tmp_path / "portal.png", list[tuple[int, int]]()

    proof = prove(card, picture, told)

    assert proof.articles == len(ZIMS)
    assert told[-1] == (5, 5)
    assert proof.picture == ""
    assert picture.read_bytes().startswith(PNG)
    assert sha256_of(card[0]) == before


def test_a_card_with_another_wifi_name_than_was_ordered_fails(card: tuple[Path, int], tmp_path: Path) -> None:
    with pytest.raises(BootFailed) as failed:
        prove(card, tmp_path / "portal.png", [], ssid="The school next door")

    assert "the Wi-Fi" in failed.value.sentence
    assert "host name" not in failed.value.sentence
