"""What is known of a base image beside it: NAME.json, and the digest of the recipe it was built from."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VERSION = 1
RECIPE = Path(__file__).parent
"""The recipe is this folder: package list, hooks, the card's files and the code that puts them together."""


@dataclass(frozen=True)
class BaseManifest:
    """A base image's record. ``boot_bytes`` and ``root_bytes`` are the partitions' sizes."""

    name: str
    architecture: str
    release: str
    built: str
    """The date that its files carry, ISO 8601 in UTC; no clock's: built twice, its bytes are the same."""
    bytes: int
    sha256: str
    boot_bytes: int
    root_bytes: int
    recipe: str
    """SHA-256 of the recipe; empty: somebody else built it."""
    sbom_sha256: str | None = None
    """SHA-256 of NAME.cdx.json beside it, the list of its packages; None: it came without one."""
    version: int = VERSION

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=1) + "\n"


def name_of(architecture: str) -> str:
    """The base image's name for an architecture (amd64, arm64)."""
    return f"cardshop-{architecture}"


def recipe_digest(architecture: str, folder: Path = RECIPE) -> str:
    """SHA-256 over the architecture and every file of the recipe: name, whether executable, content."""
    digest = hashlib.sha256(architecture.encode())
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or "__pycache__" in relative.parts:
            continue
        content = path.read_bytes()
        digest.update(f"\0{relative.as_posix()}\0{os.access(path, os.X_OK)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def is_current(folder: Path, architecture: str, recipe: str) -> bool:
    """Whether ``folder`` holds a whole base image that was built from this very recipe."""
    name = name_of(architecture)
    try:
        wire = json.loads((folder / f"{name}.json").read_text())
        size = (folder / f"{name}.img").stat().st_size
    except (OSError, ValueError):
        return False
    return (
        isinstance(wire, dict)
        and wire.get("version") == VERSION
        and wire.get("recipe") == recipe
        and wire.get("bytes") == size
    )
