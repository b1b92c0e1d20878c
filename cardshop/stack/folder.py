"""The folder that holds all of a stack: what is where, and who may read it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def random_password() -> str:
    """Forty-three characters of an URL's alphabet: 256 bits."""
    return secrets.token_urlsafe(32)


class StackFolder:
    """Paths inside one stack's folder; folders are made when first asked for, closed to other users."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._make(self.root)

    def inside(self, *names: str) -> Path:
        """A folder below the root, made if missing."""
        path = self.root.joinpath(*names)
        self._make(path)
        return path

    def data(self, name: str) -> Path:
        """Where the service ``name`` keeps its data."""
        return self.inside("data", name)

    def log(self, name: str) -> Path:
        """The log file of the service ``name``."""
        return self.inside("logs") / f"{name}.log"

    def secret(self, name: str, make: Callable[[], str] = random_password) -> Path:
        """The file with the secret ``name``; what ``make`` returns is written on the first call."""
        path = self.inside("secrets") / name
        if not path.exists():
            write_private(path, make())
        return path

    def _make(self, path: Path) -> None:
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
