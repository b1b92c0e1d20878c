"""What goes on the data partition: folders, files and links, each with its owner and mode."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cardshop.contract.errors import InvalidInput

FILE_MODE, FOLDER_MODE = 0o644, 0o755
LONGEST_NAME_BYTES = 255
"""Of a file name in ext4, encoded as UTF-8."""

LONGEST_LINK_BYTES = 4095


@dataclass(frozen=True)
class Owner:
    """Whose a file is; root's, if nothing else is said."""

    user: int = 0
    group: int = 0


ROOT = Owner()


@dataclass(frozen=True)
class File:
    """A file; ``path`` begins at the partition's root, with a slash."""

    path: str
    source: Path | bytes
    sha256: str
    ident: str  # which of the recipe's contents it comes from: errors name it
    mode: int = FILE_MODE
    owner: Owner = ROOT

    @property
    def size_bytes(self) -> int:
        """How long it is now."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    path: str
    target: str


@dataclass(frozen=True)
class Folder:
    """A folder."""

    path: str
    mode: int = FOLDER_MODE
    owner: Owner = ROOT


@dataclass
class Tree:
    """All of it; what is added later takes the place of a file that has the same path."""

    _folders: dict[str, Folder] = field(default_factory=dict)
    _files: dict[str, File | Link] = field(default_factory=dict)

    def add(self, item: File | Link | Folder, ident: str) -> None:
        """Adds it and the folders that it lies in.

        Raises:
            InvalidInput: a file is where a folder must be, or a name can't be; ``field`` is ``ident``.
        """
        _check_path(item.path, ident)
        for folder in reversed(_parents(item.path)):
            if folder in self._files:
                raise InvalidInput(f"{folder} is a file: nothing can lie in it.", field=ident)
            self._folders.setdefault(folder, Folder(folder))
        if isinstance(item, Folder):
            if item.path in self._files:
                raise InvalidInput(f"{item.path} is a file already.", field=ident)
            self._folders[item.path] = item
            return
        if item.path in self._folders:
            raise InvalidInput(f"{item.path} is a folder already.", field=ident)
        self._files[item.path] = item

    def update(self, items: Iterable[File | Link | Folder], ident: str) -> None:
        """Adds them all."""
        for item in items:
            self.add(item, ident)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """All folders, each after the one that it lies in."""
        return tuple(self._folders.values())

    @property
    def files(self) -> tuple[File, ...]:
        """All files, in the order they were added."""
        return tuple(item for item in self._files.values() if isinstance(item, File))

    @property
    def links(self) -> tuple[Link, ...]:
        """All links."""
        return tuple(item for item in self._files.values() if isinstance(item, Link))


def content_file(path: str, content: bytes, ident: str) -> File:
    """A file whose bytes are here."""
    return File(path, content, hashlib.sha256(content).hexdigest(), ident)


def _parents(path: str) -> list[str]:
    found = []
    while (path := posixpath.dirname(path)) != "/":
        found.append(path)
    return found


def _check_path(path: str, ident: str) -> None:
    names = path.split("/")
    if names[0] or len(names) < 2:
        raise InvalidInput(f"{path!r} is no path from the partition's root.", field=ident)
    for name in names[1:]:
        if name in ("", ".", "..") or not name.isprintable():
            raise InvalidInput(f"{name!r} can't be a file's name on the card.", field=ident)
        try:
            length = len(name.encode())
        except UnicodeEncodeError:
            raise InvalidInput(f"{name!r} can't be a file's name on the card.", field=ident) from None
        if length > LONGEST_NAME_BYTES:
            raise InvalidInput(f"The file name {name} is too long for the card.", field=ident)
