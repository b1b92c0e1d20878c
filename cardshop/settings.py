"""Settings: one frozen dataclass a service, read once at the door from the environment.

A field ``broker_host`` is read from ``CARDSHOP_BROKER_HOST``, or from the file that
``CARDSHOP_BROKER_HOST_FILE`` names (for secrets: the environment then holds only a path). All that is
missing or wrong is told at once, each with its hint.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cardshop.contract.errors import InvalidInput

PREFIX = "CARDSHOP_"

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Address:
    """A host name or address with a port, written ``host:port``."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def setting(hint: str, *, default: Any = dataclasses.MISSING, secret: bool = False) -> Any:
    """A dataclass field that :func:`load` reads. ``hint`` tells a person what to put there."""
    metadata = {"hint": hint, "secret": secret}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def variable(field_name: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field_name.upper()


def load(cls: type[T], environment: Mapping[str, str]) -> T:
    """Reads the settings dataclass ``cls``.

    Types known: str, int, float, bool, Path, Address, tuple of str (comma separated).

    Raises:
        InvalidInput: names every variable that is missing or wrong, a line each.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in dataclasses.fields(typing.cast("Any", cls)):
        name = variable(field.name)
        try:
            text = _text(name, environment)
            if text is not None:
                values[field.name] = _converter(hints[field.name])(text)
            elif field.default is dataclasses.MISSING:
                problems.append(f"{name} is missing: {field.metadata['hint']}")
        except (ValueError, OSError) as error:
            problems.append(f"{name} is wrong ({error}): {field.metadata['hint']}")
    if problems:
        raise InvalidInput("These settings are missing or wrong:\n  " + "\n  ".join(problems))
    return cls(**values)


def describe(settings: Any) -> dict[str, str]:
    """The settings as printed at start: secrets hidden."""
    return {
        field.name: "[hidden]" if field.metadata.get("secret") else str(getattr(settings, field.name))
        for field in dataclasses.fields(settings)
    }


def _text(name: str, environment: Mapping[str, str]) -> str | None:
    path = environment.get(f"{name}_FILE")
    if path:
        return Path(path).read_text().strip()
    return environment.get(name) or None


def _converter(hint: Any) -> Callable[[str], Any]:
    if typing.get_origin(hint) is tuple:
        return _words
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    plain = options[0] if options else hint
    return {bool: _truth, Address: _address}.get(plain, typing.cast("Callable[[str], Any]", plain))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _truth(text: str) -> bool:
    answers = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in answers:
        raise ValueError("use yes or no")
    return answers[text.lower()]


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdigit()):
        raise ValueError("use host:port")
    return Address(host, int(port))
