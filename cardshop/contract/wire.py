"""Reading wire data: JSON objects become frozen dataclasses or a :class:`MessageRejected`.

Unknown fields are ignored, so that an older reader understands a newer writer of the same version; a
missing field, a wrong type or an unknown version rejects the message.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cardshop.contract.errors import MessageRejected

T = TypeVar("T")
Reader = Callable[[Any, str], Any]
"""Reads a value; is told its path, for the error."""


def to_wire(value: Any) -> Any:
    """A dataclass as plain JSON types: tuples become lists, ``None`` stays."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_wire(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_wire(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return value


def parse(document: str | bytes) -> Any:
    """The JSON types of a document. Raises ValueError, for one that is nested too deep to be read as well."""
    try:
        return json.loads(document)
    except RecursionError:
        raise ValueError("nested too deep") from None


def from_wire(cls: type[T], wire: Any, *, where: str = "") -> T:
    """Builds ``cls`` from JSON types.

    Raises:
        MessageRejected: ``field`` names the first value that is missing or of a wrong type.
    """
    if not isinstance(wire, Mapping):
        raise _rejected(where or cls.__name__, "must be an object")
    values: dict[str, Any] = {}
    for name, required, read in _fields(typing.cast("Any", cls)):
        if name in wire:
            values[name] = read(wire[name], f"{where}.{name}" if where else name)
        elif required:
            raise _rejected(f"{where}.{name}" if where else name, "is missing")
    return cls(**values)


@functools.cache
def _fields(cls: type[Any]) -> tuple[tuple[str, bool, Reader], ...]:
    """Name, whether it must be there, and reader of each field; to look them up costs more than to read."""
    hints = typing.get_type_hints(cls)
    return tuple(
        (
            field.name,
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            _reader(hints[field.name]),
        )
        for field in dataclasses.fields(cls)
    )


def _reader(hint: Any) -> Reader:
    origin = typing.get_origin(hint)
    if hint is Any:
        return lambda value, _path: value
    if origin in (typing.Union, types.UnionType):
        return _optional(*typing.get_args(hint))
    if origin is tuple:
        return _list_of(_reader(typing.get_args(hint)[0]))
    if origin is dict:
        return _object
    if dataclasses.is_dataclass(hint):
        return lambda value, path: from_wire(typing.cast("type[Any]", hint), value, where=path)
    return _of_type(hint)


def _optional(*options: Any) -> Reader:
    read = _reader(next(option for option in options if option is not type(None)))
    may_be_none = type(None) in options
    return lambda value, path: None if value is None and may_be_none else read(value, path)


def _list_of(read: Reader) -> Reader:
    def reader(value: Any, path: str) -> Any:
        if not isinstance(value, list | tuple):
            raise _rejected(path, "must be a list")
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(value))

    return reader


def _object(value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _rejected(path, "must be an object")
    return dict(value)


def _of_type(hint: Any) -> Reader:
    def reader(value: Any, path: str) -> Any:
        if type(value) is hint:
            return value
        if hint is float and type(value) is int:
            return float(value)
        # A database's own integer is an int too; a truth value must not pass for one.
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            raise _rejected(path, f"must be of type {getattr(hint, '__name__', hint)}")
        return value

    return reader


def _rejected(field: str, why: str) -> MessageRejected:
    return MessageRejected(f"The message's field {field} {why}.", field=field)
