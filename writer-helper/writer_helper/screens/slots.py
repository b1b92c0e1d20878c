"""Step 2: a card is put in, the place where it appears gets its letter; the next one."""

from __future__ import annotations

import socket
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, DataTable, Input, Label, Static

from cardshop.contract.errors import CardshopError
from cardshop.sizes import size_said
from writer_helper.configuration import Configuration
from writer_helper.naming import LOOK_SECONDS, labels, look, next_letter
from writer_helper.overview import SlotView, overview
from writer_helper.places import Place
from writer_helper.screens.pane import NOT_YET, Pane

COLUMNS = ("Slot", "Place", "LUN", "Reader", "Card", "State")
LABELS_FILE = "labels.svg"


class Slots(Pane):
    """Names the slots of this host. ``folder`` may hold virtual slots."""

    def __init__(self, configuration: Configuration, folder: Path | None) -> None:
        super().__init__(configuration)
        self._folder = folder
        self._before = look(folder)
        self._offered: Place | None = None

    def compose(self) -> ComposeResult:
        """What to do, what appeared, and what there is."""
        yield Static("", id="slots-lead", classes="lead", markup=False)
        with Horizontal(id="offer"):
            yield Label("", id="appeared", markup=False)
            yield Input(id="letter", max_length=16)
            yield Button("Name it", id="name", variant="primary")
        yield Static("", id="slots-told", markup=False)
        yield DataTable(id="slot-table", cursor_type="row")
        with Horizontal(classes="buttons"):
            yield Button("Forget the marked slot", id="forget")
            yield Button("Write labels", id="labels")

    def on_mount(self) -> None:
        """Looks at the readers from now on."""
        self.query_one(DataTable).add_columns(*COLUMNS)
        self.query_one("#offer").display = False
        self.set_interval(LOOK_SECONDS, self._look)
        self.show()

    def show(self) -> None:
        """What to do now, and the slots."""
        host = self.host()
        lead = self.query_one("#slots-lead", Static)
        if host is None:
            lead.update(NOT_YET)
            return
        letter = next_letter([slot.name for slot in host.slots])
        lead.update(
            f"Put a card into the opening that shall be slot {letter}. "
            "When it appears here, give it its letter, take it out, and go on with the next."
        )
        table = self.query_one(DataTable)
        row = table.cursor_row
        table.clear()
        for view in overview(host.slots):
            table.add_row(*_cells(view))
        table.move_cursor(row=row)

    def _look(self) -> None:
        if not self.is_open:
            return
        now = look(self._folder)
        appeared = now.appeared_since(self._before)
        changed = now.cards.keys() != self._before.cards.keys()
        self._before = now
        if appeared:
            self._offer(appeared)
        elif self._offered and self._offered.path not in now.cards:
            self._withdraw()
        if changed:
            self.show()

    def _offer(self, appeared: list[Place]) -> None:
        host = self.host()
        if host is None:
            return
        if len(appeared) > 1:
            self._say(f"{len(appeared)} cards appeared at once: put in one after the other.", "bad")
            return
        [place] = appeared
        known = next((slot.name for slot in host.slots if slot.path == place.path), None)
        if known:
            self._say(f"That is slot {known}.", "good")
            return
        self._offered = place
        self.query_one("#appeared", Label).update(
            f"A card of {size_said(place.card_bytes)} appeared at {place.name}. It is slot"
        )
        letter = self.query_one("#letter", Input)
        letter.value = next_letter([slot.name for slot in host.slots])
        self.query_one("#offer").display = True
        self.query_one("#name", Button).focus()

    def _withdraw(self) -> None:
        self._offered = None
        self.query_one("#offer").display = False

    @on(Button.Pressed, "#name")
    @on(Input.Submitted, "#letter")
    def name_it(self) -> None:
        """Gives the place that is offered its letter."""
        if self._offered is None:
            return
        letter = self.query_one("#letter", Input).value.strip()
        try:
            self.configuration.put_slot(letter, self._offered.path)
        except CardshopError as error:
            self.tell(error)
            return
        self._say(
            f"{self._offered.name} is slot {letter}. Put the letter on it, and take the card out.", "good"
        )
        self._withdraw()
        self.show()
        self.post_message(self.Changed())

    @on(Button.Pressed, "#forget")
    def forget(self) -> None:
        """Takes the marked slot out of the configuration."""
        table = self.query_one(DataTable)
        name = str(table.get_row_at(table.cursor_row)[0]) if table.row_count else ""
        try:
            self.configuration.remove_slot(name)
        except CardshopError as error:
            self.tell(error)
            return
        self._say(f"Slot {name} is forgotten.", "good")
        self.show()
        self.post_message(self.Changed())

    @on(Button.Pressed, "#labels")
    def write_labels(self) -> None:
        """Writes the labels beside the configuration."""
        host = self.host()
        if host is None:
            return
        path = self.configuration.path.with_name(LABELS_FILE)
        path.write_text(labels(host.slots, socket.gethostname()))
        self._say(f"The labels are in {path}: print it with any browser, in true size.", "good")

    def _say(self, sentence: str, tone: str) -> None:
        told = self.query_one("#slots-told", Static)
        told.update(sentence)
        told.set_classes(tone)


def _cells(view: SlotView) -> tuple[str, ...]:
    place = view.place
    if place is None:
        return (view.name, str(view.slot.path if view.slot else ""), "", "", "", view.verdict)
    lun = "" if place.lun is None else str(place.lun)
    return (view.name or "-", place.name, lun, place.model, size_said(place.card_bytes), view.verdict)
