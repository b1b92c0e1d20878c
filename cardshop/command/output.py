"""What the command prints: tables and facts for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cardshop.contract.errors import CardshopError


class Output:
    """Writes to standard output; ``as_json`` makes it JSON, as the API told it."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], told: object) -> None:
        """A table; ``told`` is what scripts get."""
        if self._as_json:
            self._json(told)
            return
        lines = [[str(cell) for cell in row] for row in (head, *rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        for line in lines:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            _say("  ".join(padded).rstrip())

    def facts(self, facts: Mapping[str, object], told: object) -> None:
        """Names with values, those without a value left out; ``told`` is what scripts get."""
        if self._as_json:
            self._json(told)
            return
        shown = {name: str(value) for name, value in facts.items() if value not in (None, "")}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            _say(f"{name.ljust(width)}  {value}")

    def sentence(self, sentence: str, told: object) -> None:
        """What was done; ``told`` is what scripts get."""
        if self._as_json:
            self._json(told)
        else:
            _say(sentence)

    def told(self, told: object) -> None:
        """What scripts get; people get what follows."""
        if self._as_json:
            self._json(told)

    def also(self, *lines: str) -> None:
        """More for people; scripts have it in what they were told."""
        if not self._as_json:
            _say(*lines)

    def _json(self, told: object) -> None:
        _say(json.dumps(told, indent=2, ensure_ascii=False))


def tell_error(error: CardshopError, *, as_json: bool) -> None:
    """Writes the error to standard error: what is wrong, where, and what to do."""
    if as_json:
        sys.stderr.write(json.dumps(error.to_wire()) + "\n")
        return
    field = f"{error.field}: " if error.field and not error.sentence.startswith(error.field) else ""
    sys.stderr.write(f"cardshop: {_harmless(field + error.sentence)}\n")
    if error.hint:
        sys.stderr.write(f"  {_harmless(error.hint)}\n")


def short(moment: Any) -> str:
    """A moment as the API tells it, without its parts of a second."""
    return str(moment or "").partition(".")[0].replace("T", " ")


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(_harmless(line) + "\n")


def _harmless(text: str) -> str:
    """Without what a terminal obeys: a forged card could paint a verdict of its own."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)
