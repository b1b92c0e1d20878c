"""Reading wire data: JSON objects become frozen dataclasses or a :class:`MessageRejected`.

Unknown fields are ignored, so that an older reader understands a newer writer of the same version; a
missing field, a wrong type or an unknown version rejects the message.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from cardshop.contract.errors import MessageRejected

T = TypeVar("T")


def to_wire(value: Any) -> Any:
    """A dataclass as plain JSON types: tuples become lists, ``None`` stays."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_wire(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_wire(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return value


def from_wire(cls: type[T], wire: Any, *, where: str = "") -> T:
    """Builds ``cls`` from JSON types.

    Raises:
        MessageRejected: ``field`` names the first value that is missing or of a wrong type.
    """
    if not isinstance(wire, Mapping):
        raise _rejected(where or cls.__name__, "must be an object")
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast("Any", cls)):
        path = f"{where}.{field.name}" if where else field.name
        if field.name in wire:
            values[field.name] = _read(hints[field.name], wire[field.name], path)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _rejected(path, "is missing")
    return cls(**values)


def _read(hint: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _read(next(option for option in options if option is not type(None)), value, path)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _rejected(path, "must be a list")
        item_hint = typing.get_args(hint)[0]
        return tuple(_read(item_hint, item, f"{path}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _rejected(path, "must be an object")
        return dict(value)
    if dataclasses.is_dataclass(hint):
        return from_wire(typing.cast("type[Any]", hint), value, where=path)
    if hint is float and type(value) is int:
        return float(value)
    # A database's own integer is an int too; a truth value must not pass for one.
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise _rejected(path, f"must be of type {getattr(hint, '__name__', hint)}")
    return value


def _rejected(field: str, why: str) -> MessageRejected:
    return MessageRejected(f"The message's field {field} {why}.", field=field)
