"""``cardshop tasks …``: what workers told of a task."""

from __future__ import annotations

import argparse

from cardshop.command.desk import Desk, Subparsers, noun, verb
from cardshop.command.orders import find_order
from cardshop.command.output import short
from cardshop.contract.errors import NotFound


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    verbs = noun(subparsers, "tasks", "what is done for orders, step by step")
    logs = verb(verbs, "logs", show_log, "show what a task's workers told, attempt by attempt")
    logs.add_argument(
        "task", metavar="TASK", help="its id, or ORDER/UNIT: 12/3 is card 3 of order 12, 12/0 its image"
    )
    logs.add_argument("--text", default="", help="only lines with these words")


def show_log(desk: Desk, arguments: argparse.Namespace) -> None:
    """Shows a task's log."""
    task_id = _task_id(desk, arguments.task)
    query = {"text": arguments.text} if arguments.text else {}
    log = desk.session.get(f"/v1/tasks/{task_id}/log", **query)
    desk.output.told(log)
    if log["dropped_lines"]:
        desk.output.also(f"(the oldest {log['dropped_lines']} lines were dropped)")
    for part in log["items"]:
        for line in part["lines"]:
            desk.output.also(f"{short(part['at'])}  attempt {part['attempt']}  {line}")


def _task_id(desk: Desk, name: str) -> str:
    order, slash, unit = name.partition("/")
    if not slash:
        return name
    for task in find_order(desk, order)["tasks"]:
        if str(task["unit"]) == unit:
            return str(task["id"])
    raise NotFound(f"Order {order} has no card {unit}.", hint=f"See: cardshop orders show {order}")
