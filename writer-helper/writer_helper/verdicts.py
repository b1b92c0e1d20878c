"""A verdict on one thing that was looked at: good, bad, or not to be told here; and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rich.text import Text


class Mark(StrEnum):
    """How it is."""

    GOOD = "good"
    WARNING = "warning"  # writers work, but slowly, or not for long
    BAD = "bad"
    UNKNOWN = "unknown"  # this host doesn't tell


SIGNS = {Mark.GOOD: "✓", Mark.WARNING: "!", Mark.BAD: "✗", Mark.UNKNOWN: "?"}
COLOURS = {Mark.GOOD: "green", Mark.WARNING: "yellow", Mark.BAD: "red", Mark.UNKNOWN: "bright_black"}


@dataclass(frozen=True)
class Verdict:
    """One line of a report.

    Attributes:
        subject: what was looked at, such as ``broker: login``.
        mark: how it is.
        sentence: what was found.
        hint: what to do, where something is to be done.
    """

    subject: str
    mark: Mark
    sentence: str
    hint: str = ""

    def facts(self) -> dict[str, Any]:
        """For a script."""
        return {"subject": self.subject, "mark": self.mark, "sentence": self.sentence, "hint": self.hint}


def good(subject: str, sentence: str) -> Verdict:
    """All is well."""
    return Verdict(subject, Mark.GOOD, sentence)


def warning(subject: str, sentence: str, hint: str) -> Verdict:
    """It works, and should be seen to."""
    return Verdict(subject, Mark.WARNING, sentence, hint)


def bad(subject: str, sentence: str, hint: str) -> Verdict:
    """It doesn't work."""
    return Verdict(subject, Mark.BAD, sentence, hint)


def unknown(subject: str, sentence: str) -> Verdict:
    """It can't be told here."""
    return Verdict(subject, Mark.UNKNOWN, sentence)


def line(verdict: Verdict) -> Text:
    """A verdict as both the commands and the screens show it."""
    hint = f"\n    {verdict.hint}" if verdict.hint else ""
    sign = (f"{SIGNS[verdict.mark]} ", COLOURS[verdict.mark])
    return Text.assemble(sign, (f"{verdict.subject}: ", "bold"), verdict.sentence, hint)
