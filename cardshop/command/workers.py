"""``cardshop workers …``: who is there, and what is in their slots."""

from __future__ import annotations

import argparse

from cardshop.command.desk import Desk, Subparsers, noun, verb
from cardshop.command.output import short


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    verbs = noun(subparsers, "workers", "creators and writers")
    verb(verbs, "list", list_workers, "list the workers with their slots")


def list_workers(desk: Desk, _arguments: argparse.Namespace) -> None:
    """Lists the workers."""
    workers = desk.session.get("/v1/workers")["items"]
    rows = [
        (
            worker["username"],
            worker["kind"],
            worker["state"],
            short(worker["last_seen"]),
            ", ".join(_slot(slot) for slot in worker["slots"]),
        )
        for worker in workers
    ]
    desk.output.table(("WORKER", "KIND", "STATE", "LAST SEEN (UTC)", "SLOTS"), rows, workers)


def _slot(slot: dict[str, object]) -> str:
    card = slot["card"]
    inside = f"card {card['serial']}" if isinstance(card, dict) else str(slot["state"])
    return f"{slot['slot']}: {inside}"
