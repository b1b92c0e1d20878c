"""The operator's side of the chaos: orders placed with a key each, asked for until they are answered."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from cardshop.contract.errors import Unavailable
from cardshop.scheduler_client import SchedulerClient

ASK_AGAIN_SECONDS = 0.5
REPEATED = 0.2
"""Share of orders of a recipe that was ordered before: its image is kept, or just being built."""

CANCELED = 0.05
"""Share of orders that are canceled a while later."""

LONGEST_CHANGE_OF_MIND_SECONDS = 20.0


@dataclass(frozen=True)
class Wish:
    """An order to place."""

    number: int
    recipe: int
    cards: int
    cancel_after: float | None  # seconds; None: it is meant


@dataclass
class Placed:
    """An order that the shop has accepted."""

    wish: Wish
    order_id: str
    at: float = field(default_factory=time.monotonic)


def wishes(seed: int, orders: int) -> list[Wish]:
    """What is ordered: the same for the same seed."""
    dice = random.Random(f"wishes {seed}")  # noqa: S311 - to be repeated, not to be secret
    made: list[Wish] = []
    for number in range(orders):
        again = number > 0 and dice.random() < REPEATED
        cancel = dice.random() < CANCELED
        made.append(
            Wish(
                number=number,
                recipe=made[dice.randrange(number)].recipe if again else number,
                cards=dice.choice((1, 1, 2, 3)),
                cancel_after=dice.uniform(0, LONGEST_CHANGE_OF_MIND_SECONDS) if cancel else None,
            )
        )
    return made


class Shop:
    """What the operator does with the API, in spite of all."""

    def __init__(self, operator: SchedulerClient, admin: SchedulerClient, content: str, mark: str) -> None:
        self._operator = operator
        self._admin = admin
        self._content = content
        self._mark = mark

    def place(self, wish: Wish) -> Placed:
        """Places the order once, however often it has to be asked."""
        body = {
            "recipe": {
                "name": f"Chaos {wish.recipe}",
                "ssid": f"{self._mark} {wish.recipe}",
                "base": "cardshop-amd64",
                "contents": [self._content],
                "size": "8 GB",
            },
            "quantity": wish.cards,
            "recipient": {"name": f"School {wish.number}", "email": f"school-{wish.number}@example.org"},
            "client": f"Channel {wish.number % 3}",
        }
        key = f"{self._mark} {wish.number}"
        answer = _insist(lambda: self._operator.post("/v1/orders", body, key=key))
        return Placed(wish, str(answer["id"]))

    def cancel(self, placed: Placed) -> None:
        """Cancels it."""
        body = {"why": "changed their mind"}
        _insist(lambda: self._operator.post(f"/v1/orders/{placed.order_id}/cancel", body))

    def briefs(self) -> list[dict[str, Any]]:
        """All orders, as in a list."""
        found: list[dict[str, Any]] = _insist(lambda: self._operator.get("/v1/orders", per_page="1000"))[
            "items"
        ]
        return found

    def order(self, order_id: str) -> dict[str, Any]:
        """One order with its tasks."""
        found: dict[str, Any] = _insist(lambda: self._operator.get(f"/v1/orders/{order_id}"))
        return found

    def mails(self, state: str) -> int:
        """How many mails are in a state."""
        return int(_insist(lambda: self._admin.get("/v1/mails", state=state, per_page="1"))["total"])

    def dead_letters(self) -> list[dict[str, Any]]:
        """The messages that nobody could do anything with."""
        found: list[dict[str, Any]] = _insist(lambda: self._admin.get("/v1/dead-letters"))["items"]
        return found


def _insist(ask: Any) -> Any:
    while True:
        try:
            return ask()
        except Unavailable:
            time.sleep(ASK_AGAIN_SECONDS)
