"""The folder that holds all of a stack: what is where, and who may read it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from cardshop.private_files import write_private

PRIVATE_FOLDER = 0o700


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
