"""Places the demo's order through the API and shows its way to the cards, live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cardshop.contract.errors import CardshopError, Unavailable
from cardshop.demo.report import Phase
from cardshop.scheduler_client import SchedulerClient

WATCH_SECONDS = 0.5
"""Time between two looks at the order; the API offers no longer wait."""

NOTHING_MOVED_SECONDS = 0.1
"""A phase that took less had all of it already (an image in the cache), or only waited."""

RECIPE_NAME = "Library of Debian manuals"

ENDS = {"written", "failed", "canceled"}


class DemoFailed(CardshopError):
    """The demo didn't come to its good end."""

    code = "demo-failed"


def read_catalogue(admin: SchedulerClient, name: str) -> list[str]:
    """Has the scheduler read the catalogue; the idents of its contents."""
    admin.post(f"/v1/catalogues/{name}/refreshes", {})
    entries = admin.get("/v1/catalogue/entries")["items"]
    return [str(entry["ident"]) for entry in entries if entry["catalogue"] == name]


def recipe_for(operator: SchedulerClient, contents: list[str], *, base: str, medium: str) -> str:
    """The id of the demo's recipe, made the first time."""
    for recipe in operator.get("/v1/recipes")["items"]:
        if recipe["name"] == RECIPE_NAME and sorted(recipe["contents"]) == sorted(contents):
            return str(recipe["id"])
    recipe = operator.post(
        "/v1/recipes",
        {
            "name": RECIPE_NAME,
            "hostname": "library",
            "ssid": "School library",
            "wifi_password": "reading-is-free",
            "language": "en",
            "timezone": "Africa/Bamako",
            "base": base,
            "contents": contents,
            "size": medium,
        },
    )
    return str(recipe["id"])


def place(operator: SchedulerClient, recipe_id: str, *, cards: int) -> str:
    """Orders ``cards`` cards of a recipe. Returns the order's id."""
    order = operator.post(
        "/v1/orders",
        {
            "recipe_id": recipe_id,
            "quantity": cards,
            "recipient": {"name": "School of Demo", "email": "school@example.org"},
        },
    )
    return str(order["id"])


def watch(
    operator: SchedulerClient,
    order_id: str,
    *,
    console: Console,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Shows the order's tasks as bars until it ends. Returns the order.

    Raises:
        DemoFailed: it ended otherwise than ``written``, or not within ``timeout`` seconds.
    """
    deadline = clock() + timeout
    with _bars(console) as bars:
        lines: dict[str, TaskID] = {}
        while clock() < deadline:
            order = _look(operator, order_id)
            if order:
                _draw(bars, lines, order)
                if order["state"] in ENDS:
                    break
            pause(WATCH_SECONDS)
        else:
            raise DemoFailed(f"The order was not done after {timeout:.0f} s.", hint="See the stack's logs.")
    if order["state"] != "written":
        raise DemoFailed(f"The order is {order['state']}.", hint=str(order.get("failure") or ""))
    return order


def phases(order: dict[str, Any]) -> list[Phase]:
    """What the workers did for the order, as they told it with their outcomes."""
    rows: list[Phase] = []
    for task in order["tasks"]:
        if task["worker"] is None:  # the image is kept from an earlier order: nobody built it for this one
            continue
        for phase, seconds in task["outcome"]["seconds"].items():
            moved = _moved_bytes(task) if seconds >= NOTHING_MOVED_SECONDS else 0
            rows.append(Phase(f"{_name(task)}: {phase}", seconds, moved))
    return rows


def mapped_bytes(order: dict[str, Any]) -> int:
    """Bytes of the image that are written onto a card."""
    return next(_moved_bytes(task) for task in order["tasks"] if task["kind"] == "create")


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("[bold]{task.description:<10}"),
        TextColumn("{task.fields[state]:<17}"),
        BarColumn(bar_width=32, complete_style="cyan", finished_style="green"),
        TextColumn("{task.fields[phase]:<10}"),
        DownloadColumn(binary_units=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bars:
        yield bars


def _look(operator: SchedulerClient, order_id: str) -> dict[str, Any] | None:
    try:
        order: dict[str, Any] = operator.get(f"/v1/orders/{order_id}")
    except Unavailable:
        return None
    return order


def _draw(bars: Progress, lines: dict[str, TaskID], order: dict[str, Any]) -> None:
    for task in order["tasks"]:
        line = lines.get(task["id"])
        if line is None:
            line = lines[task["id"]] = bars.add_task(_name(task), total=None, state="", phase="", start=False)
        if task["state"] not in ("pending", "queued"):
            bars.start_task(line)
        progress = task["progress"]
        if task["state"] == "succeeded":
            done = "[green]verified" if task["kind"] == "write" else "[green]built"
            size = _moved_bytes(task) or 1
            bars.update(line, state=done, phase="done", total=size, completed=size)
            bars.stop_task(line)
        elif progress:
            bars.update(
                line,
                state=task["state"],
                phase=progress["phase"],
                total=progress["total"] or None,
                completed=progress["done"],
            )
        else:
            bars.update(line, state=task["state"])


def _moved_bytes(task: dict[str, Any]) -> int:
    outcome = task["outcome"] or {}
    return int(outcome.get("verified_bytes") or outcome.get("mapped_bytes") or 0)


def _name(task: dict[str, Any]) -> str:
    return f"card {task['unit']}" if task["kind"] == "write" else "image"
