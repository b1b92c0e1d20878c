"""What the demo found out: a table for people, ``report.json`` for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cardshop.demo.proof import CardProof

MEGABYTE = 10**6


@dataclass(frozen=True)
class Phase:
    """One step: how long it took and how many bytes it moved (0 where that says nothing)."""

    name: str
    seconds: float
    bytes: int = 0


@dataclass
class Report:
    """Filled in as the demo goes on."""

    order: str = ""
    image_sha256: str = ""
    image_bytes: int = 0
    mapped_bytes: int = 0
    cards: list[CardProof] = field(default_factory=list)
    booted: bool = False
    boot_seconds: float = 0.0
    phases: list[Phase] = field(default_factory=list)

    def ok(self, cards: int) -> bool:
        """Whether all of it holds for as many cards as were ordered."""
        return self.booted and len(self.cards) == cards and all(card.ok for card in self.cards)

    def write(self, path: Path) -> None:
        """Writes the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "order": self.order,
            "image": {
                "sha256": self.image_sha256,
                "bytes": self.image_bytes,
                "mapped_bytes": self.mapped_bytes,
            },
            "cards": [
                {
                    "slot": card.slot,
                    "sha256_ok": card.sha256_ok,
                    "passport_ok": card.passport_ok,
                    "zims_ok": card.zims_ok,
                    "fsck_ok": card.fsck_ok,
                }
                for card in self.cards
            ],
            "booted": self.booted,
            "boot_seconds": round(self.boot_seconds, 1),
            "phases": [
                {"phase": phase.name, "seconds": round(phase.seconds, 2), "bytes": phase.bytes}
                for phase in self.phases
            ],
        }
        path.write_text(json.dumps(content, indent=2) + "\n")


def show(report: Report, console: Console) -> None:
    """Prints the phases and the cards."""
    console.print(_phase_table(report.phases))
    console.print(_card_table(report.cards))
    for card in report.cards:
        for problem in card.problems:
            console.print(f"[red]slot {card.slot}: {problem}")


def _phase_table(phases: Sequence[Phase]) -> Table:
    table = Table(title="What was done", title_justify="left")
    for heading in ("phase", "seconds", "MB", "MB/s"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    for phase in phases:
        size = f"{phase.bytes / MEGABYTE:,.0f}" if phase.bytes else ""
        rate = f"{phase.bytes / MEGABYTE / phase.seconds:,.0f}" if phase.bytes and phase.seconds else ""
        table.add_row(phase.name, f"{phase.seconds:.1f}", size, rate)
    return table


def _card_table(cards: Sequence[CardProof]) -> Table:
    table = Table(title="The cards, read by other people's tools", title_justify="left")
    for heading in ("slot", "every range's SHA-256", "passport", "every ZIM", "file systems"):
        table.add_column(heading)
    for card in cards:
        found = (card.sha256_ok, card.passport_ok, card.zims_ok, card.fsck_ok)
        table.add_row(card.slot, *(_mark(ok) for ok in found))
    return table


def _mark(ok: bool) -> str:
    return "[green]right" if ok else "[red]WRONG"
