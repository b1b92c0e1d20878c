"""One run of the chaos: the stack, its faults, its people, and the verdict."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cardshop.contract.errors import CardshopError
from cardshop.scheduler_client import SchedulerClient
from cardshop.stack.ports import PASSIVE_PORTS
from cardshop.stack.shape import Shape
from cardshop.stack.stack import Stack
from tests.chaos.faults import Saboteur, plan
from tests.chaos.moments import Aim, plan_moments
from tests.chaos.network import Network
from tests.chaos.shop import Placed, Shop, wishes
from tests.chaos.technician import Technician
from tests.chaos.verdict import Post, Verdict, judge, settled
from tests.mail_server import RealMailServer
from tests.tiny_base import make_tiny_base
from tests.zims import make_zim

CREATORS = 2
WRITERS = 6
MOMENTS_WRITERS = 4
MOMENTS_ORDERS = 2
"""So many orders are open while cards are what is hit."""

LOOK_SECONDS = 0.7
"""Between two looks at the shop."""

UNDERWAY = ("waiting", "handing-over")
"""States of a mail that is not at its end."""

READY_SECONDS = 180.0
CALM_SECONDS = 600.0
"""After the last fault: what isn't at its end by then is stuck."""

SECONDS_AN_ORDER = 15.0
FIRST_SECONDS = 120.0
"""The faults go on for at most this long, and :data:`SECONDS_AN_ORDER` more for each order."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """What is asked for.

    Attributes:
        seed: of the faults and the orders.
        orders: how many; more are not placed once there were all ``moments``.
        folder: emptied first.
        tell: told how it goes.
        moments: so many faults, all of them while a card is being made, at its writer, the broker or the
            warehouse; 0: everything is hit, until all orders are at their end.
        content_bytes: of each image, beside the system.
    """

    seed: int
    orders: int
    folder: Path
    tell: Tell
    moments: int = 0
    content_bytes: int = 0


def run(asked: Run) -> Verdict:
    """Runs it. The stack is down afterwards; its folder, with all logs, stays.

    Raises:
        CardshopError: the stack doesn't even start.
    """
    shutil.rmtree(asked.folder, ignore_errors=True)
    writers = MOMENTS_WRITERS if asked.moments else WRITERS
    shape = Shape(creators=CREATORS, writers=writers)
    workers = [*shape.creator_names, *shape.writer_slots]
    make_tiny_base(asked.folder / "bases")
    ports = Stack(asked.folder / "stack", shape).ports
    mail_server = RealMailServer(asked.folder / "mail")
    with Network(workers, _all(ports)) as network:
        shape = Shape(creators=CREATORS, writers=writers, within=network.within())
        stack = Stack(asked.folder / "stack", shape, mail_server.stack_mail())
        mail_server.start()
        try:
            stack.up(lambda name, what: asked.tell(f"{name}: {what}"))
            return _Day(asked, stack, network, shape, mail_server).pass_by()
        finally:
            stack.down()
            mail_server.stop()


class _Day:
    """Orders come in and cards go out while things break."""

    def __init__(
        self, asked: Run, stack: Stack, network: Network, shape: Shape, mail_server: RealMailServer
    ) -> None:
        self._asked = asked
        self._mail_server = mail_server
        self._wishes = wishes(asked.seed, asked.orders)
        if asked.moments:
            self._wishes = [replace(wish, cancel_after=None) for wish in self._wishes]
        operator, admin = (_client(stack, name) for name in ("operator", "admin"))
        content = _content(stack, admin, asked.content_bytes)
        self._shop = Shop(operator, admin, content, secrets.token_hex(4))
        self._technician = Technician(stack.cards, stack.folder.inside("data", "warehouse", "images"))
        self._aim = Aim(self._write_tasks)
        if asked.moments:
            faults = plan_moments(asked.seed)
            self._saboteur = Saboteur(stack, network, faults, asked.tell, self._aim, asked.moments)
        else:
            faults = plan(asked.seed, shape.creator_names, tuple(shape.writer_slots))
            self._saboteur = Saboteur(stack, network, faults, asked.tell)
        self._wished = 0
        self._all_placed = False
        self._open: dict[str, Placed] = {}
        self._placed: list[Placed] = []
        self._canceled: set[str] = set()
        self._collected: dict[str, int] = {}

    def pass_by(self) -> Verdict:
        self._technician.fill()
        placing = threading.Thread(target=self._place_all, name="operator", daemon=True)
        self._saboteur.start()
        placing.start()
        self._attend(FIRST_SECONDS + SECONDS_AN_ORDER * self._asked.orders)
        self._saboteur.end()
        hits = ", ".join(f"{count} at {phase}" for phase, count in self._aim.hits.items())
        self._asked.tell(f"calm after {self._saboteur.done} faults{f' ({hits})' if hits else ''}")
        self._attend(CALM_SECONDS)
        self._wait_for_mails()
        return self._verdict()

    def _place_all(self) -> None:
        for wish in self._wishes:
            while self._asked.moments and len(self._open) >= MOMENTS_ORDERS:
                time.sleep(LOOK_SECONDS)
            if self._asked.moments and self._saboteur.done >= self._asked.moments:
                break
            self._wished += 1
            one = self._shop.place(wish)
            self._open[one.order_id] = one
            self._placed.append(one)
        self._all_placed = True

    def _write_tasks(self) -> list[dict[str, Any]]:
        """Of the orders that are not at their end."""
        orders = [self._shop.order(order_id) for order_id in list(self._open)]
        return [task for order in orders for task in order["tasks"] if task["kind"] == "write"]

    def _attend(self, seconds: float) -> None:
        """Does what the people do until all orders are at their end, or the time is over."""
        end = time.monotonic() + seconds
        told = -1
        while time.monotonic() < end:
            placed = list(self._placed)
            for one in placed:
                self._change_mind(one)
            briefs = {order["id"]: order for order in self._shop.briefs()}
            for order_id, order in briefs.items():
                self._collect(order_id, order)
            self._technician.fill()
            ended = [
                one.order_id
                for one in placed
                if one.order_id in briefs and settled(briefs[one.order_id], one)
            ]
            for order_id in ended:
                self._open.pop(order_id, None)
            done = len(ended)
            if done != told:
                told = done
                self._asked.tell(f"{done} of {len(placed)} placed orders at their end")
            if self._all_placed and done == self._wished:
                return
            time.sleep(LOOK_SECONDS)

    def _change_mind(self, one: Placed) -> None:
        after = one.wish.cancel_after
        if after is not None and one.order_id not in self._canceled and time.monotonic() > one.at + after:
            self._shop.cancel(one)
            self._canceled.add(one.order_id)

    def _collect(self, order_id: str, brief: dict[str, object]) -> None:
        tasks = brief["tasks"]
        assert isinstance(tasks, list)
        good = sum(task["kind"] == "write" and task["state"] == "succeeded" for task in tasks)
        if good > self._collected.get(order_id, 0):
            self._technician.collect(self._shop.order(order_id))
            self._collected[order_id] = good

    def _wait_for_mails(self) -> None:
        end = time.monotonic() + CALM_SECONDS
        while time.monotonic() < end and any(self._shop.mails(state) for state in UNDERWAY):
            time.sleep(LOOK_SECONDS)

    def _verdict(self) -> Verdict:
        orders = [self._shop.order(brief["id"]) for brief in self._shop.briefs()]
        self._technician.look_at_the_rest({order["image_digest"] for order in orders})
        return judge(
            self._placed,
            orders,
            self._technician.seen,
            wished=self._wished if self._all_placed else len(self._wishes),
            dead_letters=self._shop.dead_letters(),
            post=Post(
                arrived=[mail.message_id for mail in self._mail_server.received],
                sent=self._shop.mails("sent"),
                uncertain=self._shop.mails("uncertain"),
                unsent=sum(self._shop.mails(state) for state in ("failed", *UNDERWAY)),
            ),
        )


def _all(ports: dict[str, int]) -> set[int]:
    first = ports["warehouse-passive"]
    return set(ports.values()) | set(range(first, first + PASSIVE_PORTS))


def _client(stack: Stack, name: str) -> SchedulerClient:
    password = stack.services.password_file(name).read_text()
    return SchedulerClient(stack.services.scheduler_url, stack.authority.certificate_file, name, password)


def _content(stack: Stack, admin: SchedulerClient, count: int) -> str:
    """The ident of a content of so many bytes and some more in the stack's own catalogue."""
    library = stack.services.library
    make_zim(library.folder / "chaos.zim", "Chaos", files={"bytes": os.urandom(count)} if count else {})
    library.publish()
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(CardshopError):
            admin.post("/v1/catalogues/local/refreshes", {})
            entries = admin.get("/v1/catalogue/entries")["items"]
            if entries:
                return str(entries[0]["ident"])
        time.sleep(LOOK_SECONDS)
    raise AssertionError("the catalogue lists nothing")
