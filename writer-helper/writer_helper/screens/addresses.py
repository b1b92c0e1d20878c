"""Step 1: where scheduler and broker are, and what keeps the writers running."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Input, Label, Select, Static

from cardshop.contract.errors import CardshopError
from cardshop.writer_host import DEFAULT_DATA, Run, WriterHost
from writer_helper.addresses import broker_address
from writer_helper.screens.pane import Pane

FIELDS = {
    "scheduler": ("scheduler.url", "Scheduler", "https://shop.example.org:8443"),
    "ca-file": (
        "scheduler.ca_file",
        "Certificate of the authority (PEM file, from the manager)",
        "/etc/cardshop/ca.pem",
    ),
    "broker": ("broker.host", "Broker (RabbitMQ)", "shop.example.org:5671"),
    "proxy": ("scheduler.proxy", "Web proxy for the scheduler (none: leave it empty)", ""),
    "data": ("writers.data", "Folder for images", str(DEFAULT_DATA)),
}
"""By the entry's id: the field that it is, what a person calls it, an example."""

RUNS = [
    ("Docker: a container each, started with the host", Run.DOCKER.value),
    ("systemd: a unit each, started with the host", Run.SYSTEMD.value),
    ("Processes, which end with the host", Run.PROCESS.value),
]


class Addresses(Pane):
    """The form for what must be known before anything else."""

    def compose(self) -> ComposeResult:
        """The form."""
        yield Static(
            "Where is this Cardshop, and what shall keep the writers of this host running?", classes="lead"
        )
        for name, (_field, label, example) in FIELDS.items():
            with Vertical(classes="field"):
                yield Label(label)
                yield Input(id=name, placeholder=example)
        with Vertical(classes="field"):
            yield Label("What keeps the writers running")
            yield Select(RUNS, id="run", allow_blank=False, value=Run.DOCKER.value)
        yield Static("", id="addresses-told", markup=False)
        yield Button("Save", id="save", variant="primary")

    def show(self) -> None:
        """Fills the form with what the file says."""
        host = self.host()
        if host is None:
            self.query_one("#data", Input).value = str(DEFAULT_DATA)
            return
        for name, value in _values_of(host).items():
            self.query_one(f"#{name}", Input).value = value
        self.query_one("#run", Select).value = host.run.value

    @on(Button.Pressed, "#save")
    def save(self) -> None:
        """Makes or changes the file; what is wrong is said, and its entry marked."""
        for entry in self.query(Input):
            entry.remove_class("wrong")
        told = self.query_one("#addresses-told", Static)
        try:
            values = self._typed()
            if self.configuration.exists:
                self.configuration.set(values)
            else:
                self.configuration.create(values)
        except CardshopError as error:
            told.update(f"{error.sentence} {error.hint}".strip())
            told.set_classes("bad")
            self._mark(error.field)
            return
        told.update(f"{self.configuration.path} is saved. Next: name the slots (Ctrl+N).")
        told.set_classes("good")
        self.post_message(self.Changed())

    def _typed(self) -> dict[str, Any]:
        texts = {name: self.query_one(f"#{name}", Input).value.strip() for name in FIELDS}
        broker = broker_address(texts.pop("broker"))
        return {
            **{FIELDS[name][0]: text for name, text in texts.items()},
            "broker.host": broker.host,
            "broker.port": broker.port,
            "writers.run": str(self.query_one("#run", Select).value),
        }

    def _mark(self, field: str) -> None:
        for name, (known, _label, _example) in FIELDS.items():
            if field.split(".", maxsplit=1)[0] == known.split(".")[0] == "broker" or field == known:
                entry = self.query_one(f"#{name}", Input)
                entry.add_class("wrong")
                entry.focus()


def _values_of(host: WriterHost) -> dict[str, str]:
    return {
        "scheduler": host.scheduler_url,
        "ca-file": str(host.ca_file),
        "broker": str(host.broker),
        "proxy": host.proxy,
        "data": str(host.data),
    }
