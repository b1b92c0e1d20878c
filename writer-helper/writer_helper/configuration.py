"""Edits the configuration file: comments stay, the result is checked before it replaces the file at once."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError

from cardshop import writer_host
from cardshop.contract.errors import Conflict, InvalidInput, NotFound
from cardshop.private_files import write_private
from cardshop.writer_host import WriterHost

TEMPLATE = (Path(__file__).parent / "writers.toml").read_text()
"""The documented configuration that a new one begins as."""

Edit = Callable[[TOMLDocument], None]


class Configuration:
    """The configuration in one file.

    Every change is all or nothing: two at once follow each other, and one that would make the file wrong
    leaves it as it was and raises InvalidInput.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def read(self) -> WriterHost:
        """What it says. Raises NotFound, InvalidInput."""
        return writer_host.load(self.path)

    def create(self, values: Mapping[str, Any]) -> WriterHost:
        """Makes the file from the documented template; ``values`` by the fields' full names.

        Raises:
            Conflict: there is one already.
            InvalidInput: a value is wrong; no file is left then.
        """
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with self._alone():
            if self.exists:
                raise Conflict(
                    f"There is a configuration {self.path} already.",
                    hint="Change it with: writer-helper configure set FIELD VALUE",
                )
            document = tomlkit.parse(TEMPLATE)
            for name, value in values.items():
                _set(document, name, value)
            return self._replace(document)

    def set(self, values: Mapping[str, Any]) -> WriterHost:
        """Sets fields by their full names, such as ``broker.port``. Raises InvalidInput, NotFound."""

        def edit(document: TOMLDocument) -> None:
            for name, value in values.items():
                _set(document, name, value)

        return self.change(edit)

    def put_slot(self, name: str, path: Path, fixed_device: str = "") -> WriterHost:
        """Adds a slot, or gives the one of that name another place; its account stays.

        ``fixed_device`` names the device that is allowed at this place though it doesn't say it is removable;
        what was allowed at the old place is allowed no more.
        """

        def edit(document: TOMLDocument) -> None:
            slot = _find_slot(document, name)
            if slot is None:
                slot = tomlkit.table()
                slot["name"] = name
                if not document.get("slots"):
                    document["slots"] = tomlkit.aot()
                slots: Any = document["slots"]
                slots.append(slot)
                slot = _find_slot(document, name)
            slot["path"] = str(path)
            slot.pop("fixed_device", None)
            if fixed_device:
                slot["fixed_device"] = fixed_device

        return self.change(edit)

    def put_accounts(self, accounts: Mapping[str, tuple[str, str]]) -> WriterHost:
        """Gives writers their accounts: user name and password by the slot's name. Raises NotFound."""

        def edit(document: TOMLDocument) -> None:
            for slot_name, (username, password) in accounts.items():
                slot = _need_slot(document, slot_name)
                slot["username"] = username
                slot["password"] = password

        return self.change(edit)

    def remove_slot(self, name: str) -> WriterHost:
        """Forgets a slot and its account. Raises NotFound."""

        def edit(document: TOMLDocument) -> None:
            slots: Any = document["slots"]
            slots.remove(_need_slot(document, name))
            if not slots:
                del document["slots"]  # as an empty list it could not be added to again

        return self.change(edit)

    def change(self, edit: Edit) -> WriterHost:
        """Applies an edit to the document. Raises NotFound, InvalidInput."""
        with self._alone():
            self.read()
            document = tomlkit.parse(self.path.read_text())
            edit(document)
            return self._replace(document)

    def _replace(self, document: TOMLDocument) -> WriterHost:
        try:
            text = tomlkit.dumps(document)
        except TOMLKitError as error:
            raise InvalidInput(f"The change makes no TOML: {error}.") from error
        host = writer_host.parse(text)
        write_private(self.path, text)
        return host

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The folder is locked: the file itself is replaced, so a lock on it would hold nobody back."""
        try:
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise NotFound(
                f"There is no configuration {self.path}.", hint="Make one: writer-helper configure new"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def value_typed(text: str) -> str | int:
    """What a person typed, as the file holds it: digits are a number."""
    return int(text.replace("_", "")) if re.fullmatch(r"\d[\d_]*", text) else text


def _set(document: TOMLDocument, name: str, value: Any) -> None:
    *tables, key = name.split(".")
    if not key or "[" in name or len(tables) > 1 or tables == ["slots"]:
        raise InvalidInput(
            f"{name} is no field that can be set like this.",
            hint="A field is like broker.port. Slots have their own: writer-helper configure slot --help",
            field=name,
        )
    place: Any = document
    for table in tables:
        if table not in place:
            place[table] = tomlkit.table()
        place = place[table]
    place[key] = value


def _find_slot(document: TOMLDocument, name: str) -> Any:
    return next((slot for slot in document.get("slots", ()) if slot["name"] == name), None)


def _need_slot(document: TOMLDocument, name: str) -> Any:
    slot = _find_slot(document, name)
    if slot is None:
        raise NotFound(f"There is no slot {name} in the configuration.", field="slots")
    return slot
