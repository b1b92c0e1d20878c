"""``cardshop workers …``: who is there, what is in their slots, and who gets no new work for now."""

from __future__ import annotations

import argparse

from cardshop.command.desk import Desk, Subparsers, noun, verb
from cardshop.command.output import short


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    verbs = noun(subparsers, "workers", "creators and writers")
    verb(verbs, "list", list_workers, "list the workers with their slots")
    for intent, run, about in (
        ("drain", drain, "give it no new work, for maintenance; it ends what it has begun"),
        ("resume", resume, "let a drained worker take work again"),
    ):
        parser = verb(verbs, intent, run, f"{about}; safe to ask twice")
        parser.add_argument("worker", metavar="WORKER", help="its name, as in: cardshop workers list")
        parser.add_argument("--why", default="", help="a reason; is kept")


def list_workers(desk: Desk, _arguments: argparse.Namespace) -> None:
    """Lists the workers."""
    workers = desk.session.get("/v1/workers")["items"]
    rows = [
        (
            worker["username"],
            worker["kind"],
            worker["state"] + (", drained" if worker["drain"] else ""),
            short(worker["last_seen"]),
            ", ".join(_slot(slot) for slot in worker["slots"]),
        )
        for worker in workers
    ]
    desk.output.table(("WORKER", "KIND", "STATE", "LAST SEEN (UTC)", "SLOTS"), rows, workers)


def drain(desk: Desk, arguments: argparse.Namespace) -> None:
    """Drains a worker."""
    told = desk.session.post(f"/v1/workers/{arguments.worker}/drain", {"why": arguments.why})
    desk.output.sentence(f"{arguments.worker} gets no new work until you resume it.", told)


def resume(desk: Desk, arguments: argparse.Namespace) -> None:
    """Resumes a worker."""
    told = desk.session.post(f"/v1/workers/{arguments.worker}/resume", {"why": arguments.why})
    desk.output.sentence(f"{arguments.worker} takes work again.", told)


def _slot(slot: dict[str, object]) -> str:
    card = slot["card"]
    inside = f"card {card['serial']}" if isinstance(card, dict) else str(slot["state"])
    return f"{slot['slot']}: {inside}"
