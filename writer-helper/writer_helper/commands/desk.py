"""What a command works at: the configuration, and the terminal or the script that reads its answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cardshop.contract.errors import CardshopError
from writer_helper.configuration import Configuration

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no other name


@dataclass(frozen=True)
class Desk:
    """One run of the program."""

    configuration: Configuration
    console: Console
    as_json: bool = False

    def say(self, sentence: str, **facts: Any) -> None:
        """Tells what was done: the sentence to a person, the facts to a script."""
        if self.as_json:
            self.answer(facts)
        else:
            self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def hint(self, sentence: str) -> None:
        """Tells a person what to do now, on standard error: it is no answer."""
        Console(stderr=True).print(sentence, style="bold", markup=False, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], facts: Any) -> None:
        """A table for a person, ``facts`` for a script."""
        if self.as_json:
            self.answer(facts)
            return
        table = Table(*columns)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))  # as it is: brackets are no markup
        self.console.print(table)

    def answer(self, facts: Any) -> None:
        """JSON on standard output."""
        sys.stdout.write(json.dumps(facts, indent=2, default=str) + "\n")

    def tell_error(self, error: CardshopError) -> None:
        """The error: to a person on standard error, to a script as JSON on standard output."""
        if self.as_json:
            self.answer(error.to_wire())
            return
        console = Console(stderr=True)
        console.print(error.sentence, style="bold red", markup=False, highlight=False, soft_wrap=True)
        if error.hint:
            console.print(error.hint, markup=False, highlight=False, soft_wrap=True)
