"""A technician's walk through the screens: from nothing to a written card, recorded with Textual's pilot."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import DataTable, Input, Select, Static, TabbedContent

from cardshop import writer_host
from tests.customers import CARD_BYTES, Customer
from tests.journeys.test_technician import code_from_manager, online
from tests.real_stack import RealStack
from writer_helper.configuration import Configuration
from writer_helper.runners import runner_for
from writer_helper.screens import HelperApp

SIZE = (120, 42)
PATIENCE_SECONDS = 300.0

Walk = Pilot[None]
Take = Callable[[Walk, str], None]


@pytest.fixture
def rack() -> Iterator[Path]:
    """The host's own folder; a short path, since the captures show it."""
    with tempfile.TemporaryDirectory(prefix="rack-") as folder:
        yield Path(folder)


@pytest.fixture
def take(request: pytest.FixtureRequest) -> Take:
    """Keeps a picture of the screen, where ``--screenshots`` names a folder."""
    folder: Path | None = request.config.getoption("--screenshots")

    def taken(pilot: Walk, name: str) -> None:
        if folder is not None:
            picture = pilot.app.export_screenshot(title="writer-helper")
            # Who reads the guide shall load no font from elsewhere.
            plain = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
            (folder / f"technician-{name}.svg").write_text(plain)

    return taken


@pytest.mark.slow
def test_a_technician_goes_from_nothing_to_a_written_card(stack: RealStack, rack: Path, take: Take) -> None:
    configuration = Configuration(rack / "writers.toml")
    shutil.copy(stack.ca_file, rack / "ca.pem")
    for name in ("left", "right"):
        (rack / "slots" / name).mkdir(parents=True)
    customer = Customer(stack, megabytes=5)
    code = code_from_manager(stack, "rack-2")

    async def walk() -> None:
        app = HelperApp(configuration, rack / "slots")
        async with app.run_test(size=SIZE) as pilot:
            await fill_addresses(pilot, take, stack, rack)
            await name_slots(pilot, take, rack)
            await enrol(pilot, take, code)
            await see_network(pilot, take)
            await write_a_card(pilot, take, stack, customer, rack)
            await see_doctor(pilot, take)

    try:
        # In a thread of its own: the browser of other tests keeps an event loop running in this one.
        with ThreadPoolExecutor(max_workers=1) as screens:
            screens.submit(asyncio.run, walk()).result()
    finally:
        for other in ("writer-1", "writer-2"):
            stack.start(other)
        if configuration.exists:
            runner = runner_for(configuration.read(), configuration.path)
            for name in runner.known():
                runner.stop(name)


async def fill_addresses(pilot: Walk, take: Take, stack: RealStack, rack: Path) -> None:
    """A wrong address is marked and makes no file; a good one does."""
    for entry, text in {
        "scheduler": "shop.example.org",
        "ca-file": str(rack / "ca.pem"),
        "broker": str(stack.stack.services.rabbit.address),
        "data": str(rack / "data"),
    }.items():
        await typed(pilot, f"#{entry}", text)
    pilot.app.query_one("#run", Select).value = "process"
    await pressed(pilot, "#save")
    await until(pilot, "it is refused", lambda: "scheduler.url" in shown(pilot, "#addresses-told"))
    assert pilot.app.query_one("#scheduler", Input).has_class("wrong")
    assert not (rack / "writers.toml").exists()

    await typed(pilot, "#scheduler", stack.scheduler_url)
    take(pilot, "1-addresses")
    await pressed(pilot, "#save")
    await until(pilot, "it is taken", lambda: "is saved" in shown(pilot, "#addresses-told"))
    assert writer_host.load(rack / "writers.toml").scheduler_url == stack.scheduler_url


async def name_slots(pilot: Walk, take: Take, rack: Path) -> None:
    """Each place gets its letter when a card appears in it."""
    await next_step(pilot, "slots")
    for place, letter in (("right", "A"), ("left", "B")):
        card = insert(rack, place, f"blank-{letter}")
        await until(pilot, "the card is seen", lambda: pilot.app.query_one("#offer").display)
        assert place in shown(pilot, "#appeared")
        assert pilot.app.query_one("#letter", Input).value == letter
        if letter == "B":
            take(pilot, "2-slots")
        await pressed(pilot, "#name")
        card.unlink()
        await until(pilot, "the slot is empty", lambda: not pilot.app.query_one("#offer").display)
    await pressed(pilot, "#labels")
    await until(pilot, "the labels are made", (rack / "labels.svg").exists)
    slots = writer_host.load(rack / "writers.toml").slots
    assert [(slot.name, slot.path.name) for slot in slots] == [("A", "right"), ("B", "left")]


async def enrol(pilot: Walk, take: Take, code: str) -> None:
    """A code that is not good is told; a good one gives accounts, and shows no password."""
    await next_step(pilot, "accounts")
    await typed(pilot, "#code", "2222-2222-2222-2222")
    await pressed(pilot, "#enrol")
    await until(pilot, "it is refused", lambda: "not good" in shown(pilot, "#accounts-told"))

    await typed(pilot, "#code", code)
    await pressed(pilot, "#enrol")
    await until(pilot, "it is enrolled", lambda: "Enrolled" in shown(pilot, "#accounts-told"))
    await until(pilot, "its account is shown", lambda: "rack-2-a" in cells(pilot, "#account-table"))
    take(pilot, "3-accounts")
    assert code not in pilot.app.export_screenshot()


async def see_network(pilot: Walk, take: Take) -> None:
    """All is well on the way."""
    await next_step(pilot, "network")
    await until(pilot, "the report is whole", lambda: "All is well" in shown(pilot, "#network .summary"))
    take(pilot, "4-network")


async def write_a_card(pilot: Walk, take: Take, stack: RealStack, customer: Customer, rack: Path) -> None:
    """The writers start, a card is put in, the order is written."""
    await next_step(pilot, "writers")
    await until(pilot, "the writers are listed", lambda: "stopped" in cells(pilot, "#writer-table"))
    for other in ("writer-1", "writer-2"):
        await asyncio.to_thread(stack.stop, other)
    await pressed(pilot, "#start")
    await until(pilot, "both run", lambda: "2 of 2 writers run" in shown(pilot, "#writers-lead"))
    writers = {"rack-2-a", "rack-2-b"}
    await until_told(pilot, "both are online", lambda: writers <= set(online(stack)))
    order_id = await asyncio.to_thread(customer.place, 2)
    for place, serial in (("right", "card-1"), ("left", "card-2")):
        insert(rack, place, serial)
    await until_told(
        pilot,
        "the order is written",
        lambda: customer.order(order_id)["state"] in ("written", "failed"),
    )
    order = customer.order(order_id)
    assert order["state"] == "written", order
    writes = [task for task in order["tasks"] if task["kind"] == "write"]
    assert {task["worker"] for task in writes} == writers
    assert {task["outcome"]["card"]["serial"] for task in writes} == {"card-1", "card-2"}
    await until(pilot, "the cards are shown", lambda: "7.9 GB" in cells(pilot, "#writer-table"))
    take(pilot, "5-writers")


async def see_doctor(pilot: Walk, take: Take) -> None:
    """The doctor's page is whole, and the last tab."""
    await next_step(pilot, "doctor")
    await until(pilot, "the report is whole", lambda: "Looking" not in shown(pilot, "#doctor .summary"))
    take(pilot, "6-doctor")
    await pilot.press("ctrl+n")
    await pilot.pause()
    assert pilot.app.query_one("#steps", TabbedContent).active == "doctor"


def insert(rack: Path, place: str, serial: str) -> Path:
    """A blank card, whole when it appears."""
    draft = rack / "slots" / place / f".{serial}"
    with draft.open("xb") as card:
        card.truncate(CARD_BYTES)
    return draft.rename(draft.with_name(serial))


async def next_step(pilot: Walk, name: str) -> None:
    await pilot.press("ctrl+n")
    await until(pilot, f"{name} is open", lambda: pilot.app.query_one("#steps", TabbedContent).active == name)


async def typed(pilot: Walk, entry: str, text: str) -> None:
    """Types over what the entry holds, as a person does."""
    found = pilot.app.query_one(entry, Input)
    await focused(pilot, found)
    found.value = ""
    await pilot.press(*({"-": "minus"}.get(character, character) for character in text))
    await until(pilot, f"{entry} holds what was typed", lambda: found.value == text)


async def focused(pilot: Walk, widget: Widget) -> None:
    def has_focus() -> bool:
        widget.focus()
        return widget.has_focus

    await until(pilot, f"{widget} has the focus", has_focus)


async def pressed(pilot: Walk, button: str) -> None:
    await focused(pilot, pilot.app.query_one(button))
    await pilot.press("enter")
    await pilot.pause()


async def until(pilot: Walk, promise: str, holds: Callable[[], bool]) -> None:
    """Waits for something that the screen shows; it is looked at between two changes of it."""

    async def shows() -> bool:
        return holds()

    await _until(pilot, promise, shows)


async def until_told(pilot: Walk, promise: str, holds: Callable[[], bool]) -> None:
    """Waits for something that others are asked for, while the screen goes on."""
    await _until(pilot, promise, lambda: asyncio.to_thread(holds))


async def _until(pilot: Walk, promise: str, holds: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS:.0f} s: {promise}"
        await pilot.pause(0.2)


def shown(pilot: Walk, widget: str) -> str:
    return str(pilot.app.query_one(widget, Static).render())


def cells(pilot: Walk, table: str) -> str:
    found = pilot.app.query_one(table, DataTable)
    return "\n".join(str(found.get_row_at(row)) for row in range(found.row_count))
