"""``cardshop orders …``: place, look at and steer orders."""

from __future__ import annotations

import argparse
import json
import uuid
from pathlib import Path
from typing import Any

from cardshop.command.desk import Desk, Run, Subparsers, noun, verb
from cardshop.command.output import short
from cardshop.command.recipes import find_recipe
from cardshop.contract.errors import InvalidInput, NotFound, Unavailable

PRIORITIES = ("low", "normal", "high", "urgent")
STATES = ("accepted", "building", "built", "writing", "written", "shipped", "canceled", "failed")

_MEGABYTE = 10**6

_INTENTS = (
    ("cancel", "stop the building and writing; cards that are verified stay good"),
    ("retry", "try what has failed again; what is good is kept"),
    ("requeue", "take what isn't done from its workers and put it in the queue anew"),
    ("hold", "give nothing more of it to workers until it is released"),
    ("release", "let an order on hold go to workers again"),
)


def add(subparsers: Subparsers) -> None:
    """Joins the command line."""
    verbs = noun(subparsers, "orders", "place, look at and steer orders")
    listing = verb(verbs, "list", list_orders, "list orders, newest first")
    listing.add_argument("--state", choices=STATES, help="only those in this state")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default: 50)")
    show = verb(verbs, "show", show_order, "show an order with its tasks and history")
    _takes_order(show)
    passports = verb(verbs, "passports", list_passports, "list the passports of an order's verified cards")
    _takes_order(passports)
    _add_place(verbs)
    for intent, about in _INTENTS:
        parser = verb(verbs, intent, _asks(intent), f"{about}; safe to ask twice")
        _takes_order(parser)
        if intent != "retry":
            parser.add_argument("--why", default="", help="a reason; stands in the history")
    priority = verb(verbs, "priority", set_priority, "change how urgent it is; safe to ask twice")
    _takes_order(priority)
    priority.add_argument("priority", choices=PRIORITIES)
    priority.add_argument("--why", default="", help="a reason; stands in the history")


def list_orders(desk: Desk, arguments: argparse.Namespace) -> None:
    """Lists orders."""
    found: list[dict[str, Any]] = []
    for order in desk.session.every("/v1/orders"):
        if len(found) >= arguments.limit:
            break
        if arguments.state in (None, order["state"]):
            found.append(order)
    rows = [
        (
            order["number"],
            order["state"],
            f"{_verified(order)}/{order['quantity']}",
            order["recipe_name"],
            order["recipient"]["name"],
            short(order["created_at"]),
        )
        for order in found
    ]
    desk.output.table(("ORDER", "STATE", "CARDS", "RECIPE", "FOR", "PLACED (UTC)"), rows, found)


def show_order(desk: Desk, arguments: argparse.Namespace) -> None:
    """Shows an order."""
    order = find_order(desk, arguments.order)
    failure, hold = order["failure"] or {}, order["hold"]
    facts = {
        "order": f"{order['number']}  {order['id']}",
        "state": order["state"],
        "failed": failure.get("sentence"),
        "what to do": failure.get("hint"),
        "on hold": hold and f"by {hold['who']}: {hold['why'] or 'no reason given'}",
        "priority": order["priority"],
        "recipe": f"{order['recipe_name']} on {order['medium']}",
        "cards": f"{_verified(order)} of {order['quantity']} verified",
        "for": order["recipient"]["name"],
        "placed": f"{short(order['created_at'])} by {order['owner']}",
        "image": order["image_digest"],
    }
    desk.output.facts(facts, order)
    desk.output.also("")
    for task in order["tasks"]:
        desk.output.also(_task_line(task))
    desk.output.also("")
    for change in order["history"]:
        why = f": {change['why']}" if change["why"] else ""
        desk.output.also(
            f"{short(change['at'])}  {change['to']:<9}  {change['event']} by {change['who']}{why}"
        )


def list_passports(desk: Desk, arguments: argparse.Namespace) -> None:
    """Lists passports; as JSON with their signatures."""
    order = find_order(desk, arguments.order)
    passports = list(desk.session.every(f"/v1/orders/{order['id']}/passports"))
    rows = [
        (
            passport["unit"],
            passport["serial"],
            f"{passport['size']:,}",
            _rates(passport["write_median"], passport["write_worst"]),
            _rates(passport["read_median"], passport["read_worst"]),
            passport["retries"],
            short(passport["at"]),
            f"{passport['writer']}, slot {passport['slot']}",
        )
        for passport in passports
    ]
    head = ("CARD", "SERIAL", "BYTES", "WRITE MB/s", "READ MB/s", "RETRIES", "VERIFIED (UTC)", "BY")
    desk.output.table(head, rows, passports)


def place_order(desk: Desk, arguments: argparse.Namespace) -> None:
    """Places an order."""
    recipient = {"name": arguments.recipient, "email": arguments.email, "address": arguments.address}
    body: dict[str, Any] = {
        "quantity": arguments.quantity,
        "recipient": {name: value for name, value in recipient.items() if value},
        **({"medium": arguments.medium} if arguments.medium else {}),
        **({"client": arguments.client} if arguments.client else {}),
        **({"priority": arguments.priority} if arguments.priority else {}),
        **_recipe(desk, arguments),
    }
    key = arguments.key or uuid.uuid4().hex
    try:
        order = desk.session.post("/v1/orders", body, key=key)
    except Unavailable:
        # The answer may have been lost: with the same key it is the same order.
        order = desk.session.post("/v1/orders", body, key=key)
    desk.output.sentence(f"Order {order['number']} is accepted: {order['id']}", order)


def set_priority(desk: Desk, arguments: argparse.Namespace) -> None:
    """Changes an order's priority."""
    order = find_order(desk, arguments.order)
    body = {"priority": arguments.priority, "why": arguments.why}
    order = desk.session.post(f"/v1/orders/{order['id']}/priority", body)
    desk.output.sentence(f"Order {order['number']} has the priority {order['priority']}.", order)


def find_order(desk: Desk, name: str) -> dict[str, Any]:
    """The order of a number or an id. Raises NotFound."""
    number = name.removeprefix("#")
    if not number.isdecimal():
        order: dict[str, Any] = desk.session.get(f"/v1/orders/{name}")
        return order
    for found in desk.session.every("/v1/orders"):
        if found["number"] == int(number):
            return find_order(desk, found["id"])
    raise NotFound(f"There is no order {number}.", hint="See: cardshop orders list")


def _rates(median: int, worst: int) -> str:
    """Median and worst; what was not measured stays empty."""
    return f"{median / _MEGABYTE:.1f} (worst {worst / _MEGABYTE:.1f})" if median else ""


def _asks(intent: str) -> Run:
    def ask(desk: Desk, arguments: argparse.Namespace) -> None:
        order = find_order(desk, arguments.order)
        body = {"why": arguments.why} if intent != "retry" else {}
        order = desk.session.post(f"/v1/orders/{order['id']}/{intent}", body)
        on_hold = ", on hold" if order["hold"] else ""
        desk.output.sentence(f"Order {order['number']} is {order['state']}{on_hold}.", order)

    return ask


def _takes_order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("order", metavar="ORDER", help="its number, or its id")


def _add_place(verbs: Subparsers) -> None:
    place = verb(verbs, "place", place_order, "place an order")
    recipe = place.add_mutually_exclusive_group(required=True)
    recipe.add_argument("--recipe", metavar="RECIPE", help="a kept recipe's id, or its name")
    recipe.add_argument(
        "--recipe-file", type=Path, metavar="FILE", help="a recipe as JSON, for this order only"
    )
    place.add_argument("--quantity", type=int, required=True, metavar="N", help="cards; 0: a download only")
    place.add_argument("--recipient", required=True, metavar="NAME", help="who gets the cards")
    place.add_argument("--email", help="of the recipient")
    place.add_argument("--address", help="of the recipient")
    place.add_argument("--medium", help='takes the place of the recipe\'s size, for example "64 GB"')
    place.add_argument("--client", help="the organisation that it is for")
    place.add_argument(
        "--priority", choices=PRIORITIES, help="other than normal: for who may change priorities"
    )
    place.add_argument("--key", help="of your choice: placed again with the same key, it is the same order")


def _recipe(desk: Desk, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.recipe_file:
        try:
            return {"recipe": json.loads(arguments.recipe_file.read_text())}
        except OSError as error:
            raise InvalidInput(f"It can't be read: {error.strerror}.", field="--recipe-file") from None
        except ValueError as error:
            raise InvalidInput(f"It is no JSON: {error}.", field="--recipe-file") from None
    return {"recipe_id": find_recipe(desk, arguments.recipe)}


def _verified(order: dict[str, Any]) -> int:
    return sum(task["kind"] == "write" and task["state"] == "succeeded" for task in order["tasks"])


def _task_line(task: dict[str, Any]) -> str:
    name = "image" if task["kind"] == "create" else f"card {task['unit']}"
    progress, error, waiting = task["progress"], task["error"], task["waiting_for"]
    parts = [f"{name:<9}", f"{task['state']:<16}"]
    if task["worker"]:
        parts.append(f"at {task['worker']}")
    if task["attempt"] > 1:
        parts.append(f"attempt {task['attempt']}")
    if task["state"] == "started" and progress and progress["total"]:
        parts.append(f"{progress['phase']} {100 * progress['done'] // progress['total']} %")
    if waiting:
        parts.append(waiting["why"])
    if error:
        parts.append(error["sentence"])
    return "  ".join(parts).rstrip()
