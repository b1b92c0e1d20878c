"""The real amd64 base image, built twice from Debian packages, has the same bytes (make test-boot)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardshop.image_format import SBOM_SUFFIX
from creator.base.__main__ import build_anew
from creator.base.manifest import name_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NAME = name_of("amd64")


def build_base(folder: Path) -> dict[str, str]:
    """Builds it in ``folder``; the SHA-256 of each file that this leaves."""
    folder.mkdir()
    build_anew("amd64", folder, "the same recipe")
    return {path.name: sha256_of(path) for path in folder.iterdir()}


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def test_a_base_image_that_is_built_twice_has_the_same_bytes(tmp_path: Path) -> None:
    first = build_base(tmp_path / "first")
    second = build_base(tmp_path / "second")

    assert set(first) == {f"{NAME}.img", f"{NAME}.json", f"{NAME}{SBOM_SUFFIX}"}
    assert second == first
