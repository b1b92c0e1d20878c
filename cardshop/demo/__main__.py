"""The door: ``python -m cardshop.demo``, called by ``make demo`` when all is set up."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from rich.console import Console

from cardshop import logs
from cardshop.contract.errors import CardshopError
from cardshop.demo import order as ordering
from cardshop.demo.manuals import MANUALS, make_zims
from cardshop.demo.proof import prove_card, sha256_of
from cardshop.demo.report import Phase, Report, show
from cardshop.scheduler_client import SchedulerClient
from cardshop.stack.display import Progress
from cardshop.stack.stack import Stack
from cardshop.virtual_machine import boot

CARD_BYTES = 7_948_206_080
"""True size of an ordinary 8 GB card."""

MEDIUM = "8 GB"
BASE = "cardshop-amd64"
CATALOGUE = "local"
SLOTS = ("A", "B")
ORDER_SECONDS = 1800
BOOT_SECONDS = 300
SERIAL = "demo-"
"""Begins the serial number of the demo's own cards."""


def main() -> int:
    """Runs the demo; 0 only when every proof holds."""
    parser = argparse.ArgumentParser(prog="python -m cardshop.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/stack"), help="the stack's folder")
    parser.add_argument(
        "--report", type=Path, default=Path("var/demo/report.json"), help="where the report is written"
    )
    arguments = parser.parse_args()
    logs.set_up("demo", "WARNING")
    console = Console()
    demo = Demo(Stack(arguments.folder), console)
    try:
        demo.run(arguments.report.parent)
    except CardshopError as error:
        console.print(f"[bold red]{error.sentence}[/]\n{error.hint}", highlight=False)
        return 1
    finally:
        demo.report.write(arguments.report)
    show(demo.report, console)
    good = demo.report.ok(len(SLOTS))
    _say_farewell(demo, console, good=good)
    return 0 if good else 1


class Demo:
    """One run, over a stack that may run already."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self.stack = stack
        self.report = Report()
        self._console = console

    def run(self, work: Path) -> None:
        """Goes the whole way; fills in the report."""
        with self._phase("stack up"), Progress(self._console) as progress:
            self.stack.up(progress)
        with self._phase("ZIM files from Debian's manuals"):
            make_zims(self.stack.services.library.folder)
            zims = {zim.name: zim for zim in self.stack.services.library.publish()}
        order = self._order()
        self.report.order = order["id"]
        self.report.phases += ordering.phases(order)
        self._prove(order, zims)
        self._boot(order, work)

    def client(self, username: str) -> SchedulerClient:
        """The API as one of the stack's people."""
        password = self.stack.services.password_file(username).read_text().strip()
        ca_file = self.stack.authority.certificate_file
        return SchedulerClient(self.stack.services.scheduler_url, ca_file, username, password)

    def _order(self) -> dict[str, Any]:
        for slot in SLOTS:
            self._insert_blank_card(slot)
        with self._phase("catalogue read"):
            contents = ordering.read_catalogue(self.client("admin"), CATALOGUE)
        operator = self.client("operator")
        with self._phase("order to verified cards"):
            recipe_id = ordering.recipe_for(operator, contents, base=BASE, medium=MEDIUM)
            order_id = ordering.place(operator, recipe_id, cards=len(SLOTS))
            page = f"{self.stack.services.manager_url}/orders/{order_id}"
            self._console.print(f"Order placed. Watch it here, or at {page}", highlight=False)
            _say_login(self.stack, self._console)
            return ordering.watch(operator, order_id, console=self._console, timeout=ORDER_SECONDS)

    def _insert_blank_card(self, slot: str) -> None:
        if self.stack.cards.card_in(slot):
            taken_out = self.stack.cards.remove(slot)
            if taken_out.serial.startswith(SERIAL):
                taken_out.path.unlink()
        self.stack.cards.insert(slot, CARD_BYTES, serial=f"{SERIAL}{slot}-{secrets.token_hex(3)}")

    def _prove(self, order: dict[str, Any], zims: dict[str, Path]) -> None:
        image = self.stack.folder.inside("data", "warehouse", "images") / f"{order['image_digest']}.img"
        self.report.image_bytes = image.stat().st_size
        self.report.mapped_bytes = ordering.mapped_bytes(order)
        with self._phase("image hashed", self.report.image_bytes):
            self.report.image_sha256 = sha256_of(image)
        keys = {
            item["key"]: item["public_pem"] for item in self.client("admin").get("/v1/image-keys")["items"]
        }
        for task in order["tasks"]:
            if task["kind"] == "write":
                slot = task["outcome"]["slot"]
                card = self.stack.cards.slot(slot) / task["outcome"]["card"]["serial"]
                with self._phase(f"card in slot {slot} proven", self.report.mapped_bytes):
                    block_map, number = image.with_suffix(".bmap"), order["number"]
                    proof = prove_card(slot, card, block_map, zims, order=number, keys=keys)
                    self.report.cards.append(proof)

    def _boot(self, order: dict[str, Any], work: Path) -> None:
        written = next(task["outcome"] for task in order["tasks"] if task["kind"] == "write")
        card = self.stack.cards.slot(written["slot"]) / written["card"]["serial"]
        manual = MANUALS[0]
        work.mkdir(parents=True, exist_ok=True)
        with (
            self._phase("card booted, article read"),
            self._console.status("Booting the card in QEMU (emulated, about a minute) ..."),
            boot(card, serial_log=work / "serial.log", timeout=BOOT_SECONDS) as machine,
        ):
            page = requests.get(f"{machine.url}/{manual.name}/{manual.page}", timeout=60)
            self.report.booted = page.ok and manual.words in page.text
            self.report.boot_seconds = machine.boot_seconds

    @contextmanager
    def _phase(self, name: str, size: int = 0) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.report.phases.append(Phase(name, time.monotonic() - begun, size))


def _say_farewell(demo: Demo, console: Console, *, good: bool) -> None:
    services = demo.stack.services
    if good:
        seconds = demo.report.boot_seconds
        console.print(
            f"[bold green]Both cards are good[/]; one was booted in {seconds:.0f} s and gave its pages."
        )
    else:
        console.print("[bold red]Something is wrong with the cards: see above.")
    console.print(f"\nThe stack goes on running. The web pages: {services.manager_url}", highlight=False)
    _say_login(demo.stack, console)
    console.print("Stop it with: make down")


def _say_login(stack: Stack, console: Console) -> None:
    password = stack.services.password_file("operator").read_text().strip()
    console.print("Log in as [bold]operator[/]; the password:", end=" ")
    console.print(password, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
