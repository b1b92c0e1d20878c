"""YAML that people give, read within limits, and YAML that they get."""

from __future__ import annotations

from typing import Any

import yaml

from cardshop.contract.errors import InvalidInput

DEEPEST = 40
"""Levels of lists and mappings."""


class _Loader(yaml.SafeLoader):
    """As PyYAML's safe one, without aliases: a few lines of them become gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases (*) are not taken", event.start_mark)
        return super().compose_node(parent, index)


def read_yaml(text: str, *, field: str, most_bytes: int) -> Any:
    """The data of a YAML text.

    Raises:
        InvalidInput: it is none, too long or too deep; says the line.
    """
    if len(text.encode()) > most_bytes:
        raise InvalidInput(f"The YAML has more than {most_bytes:,} bytes.", field=field)
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        _check_depth(data, DEEPEST)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "it can't be read"
        raise InvalidInput(f"This is no YAML that can be taken: {where}{problem}.", field=field) from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput("The YAML can't be read.", hint=str(error)[:200], field=field) from error
    return data


def write_yaml(data: Any) -> str:
    """The data as YAML, for people: in their order, with their letters."""
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return text


def write_plain_yaml(data: Any) -> str:
    """The data as YAML, as PyYAML writes it by itself: sorted, in ASCII."""
    text: str = yaml.safe_dump(data)
    return text


def _check_depth(data: Any, left: int) -> None:
    if left == 0:
        raise ValueError("too many levels")
    for item in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        _check_depth(item, left - 1)
