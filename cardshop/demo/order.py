"""Places the demo's order through the API and shows its way to the cards, live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cardshop.contract.errors import CardshopError, Unavailable
from cardshop.scheduler_client import SchedulerClient

WATCH_SECONDS = 0.5
"""Time between two looks at the order; the API offers no longer wait."""

ENDS = {"written", "failed", "canceled"}


class DemoFailed(CardshopError):
    """The demo didn't come to its good end."""

    code = "demo-failed"


def fill_catalogue(admin: SchedulerClient, name: str, feed_url: str) -> list[str]:
    """Registers the catalogue, refreshes it, and gives the idents of its contents."""
    if name not in {catalogue["name"] for catalogue in admin.get("/v1/catalogues")["items"]}:
        admin.post("/v1/catalogues", {"name": name, "url": feed_url})
    admin.post(f"/v1/catalogues/{name}/refreshes", {})
    entries = admin.get("/v1/catalogue/entries")["items"]
    return [str(entry["ident"]) for entry in entries if entry["catalogue"] == name]


def place(operator: SchedulerClient, contents: list[str], *, base: str, medium: str, cards: int) -> str:
    """Makes a recipe and orders ``cards`` cards of it. Returns the order's id."""
    recipe = operator.post(
        "/v1/recipes",
        {
            "name": "Library of Debian manuals",
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
    order = operator.post(
        "/v1/orders",
        {
            "recipe_id": recipe["id"],
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


def phases(order: dict[str, Any]) -> list[dict[str, Any]]:
    """The order's phases as rows: who, phase, seconds, bytes."""
    rows = []
    for task in order["tasks"]:
        outcome = task["outcome"] or {}
        moved = outcome.get("verified_bytes") or outcome.get("mapped_bytes") or 0
        for phase, seconds in (outcome.get("seconds") or {}).items():
            rows.append({"who": _name(task), "phase": phase, "seconds": round(seconds, 2), "bytes": moved})
    return rows


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
            bars.update(
                line, state="[green]verified" if task["kind"] == "write" else "[green]built", phase="done"
            )
            size = (task["outcome"] or {}).get("verified_bytes") or (task["outcome"] or {}).get(
                "mapped_bytes"
            )
            bars.update(line, total=size or 1, completed=size or 1)
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


def _name(task: dict[str, Any]) -> str:
    return f"card {task['unit']}" if task["kind"] == "write" else "image"
