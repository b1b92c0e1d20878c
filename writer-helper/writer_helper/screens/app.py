"""The application: one tab a step."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Header, TabbedContent, TabPane

from writer_helper.configuration import Configuration
from writer_helper.doctor import examine as examine_host
from writer_helper.network import examine as examine_network
from writer_helper.screens.accounts import Accounts
from writer_helper.screens.addresses import Addresses
from writer_helper.screens.checks import Checks
from writer_helper.screens.pane import Pane
from writer_helper.screens.slots import Slots
from writer_helper.screens.writers import Writers

STEPS = ("addresses", "slots", "accounts", "network", "writers", "doctor")


class HelperApp(App[None]):
    """The walk.

    Args:
        configuration: of this host.
        folder: holds virtual slots, where there are some.
    """

    TITLE = "Cardshop: the writers of this host"
    CSS_PATH = "screens.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "step(1)", "Next step", priority=True),
        Binding("ctrl+b", "step(-1)", "Step back", priority=True),
        Binding("ctrl+q", "quit", "Quit", priority=True),
    ]

    def __init__(self, configuration: Configuration, folder: Path | None = None) -> None:
        super().__init__()
        self._configuration = configuration
        self._folder = folder
        self.sub_title = str(configuration.path)

    def compose(self) -> ComposeResult:
        """The steps; a host that is set up opens with its writers."""
        configuration = self._configuration
        yield Header()
        with TabbedContent(initial="writers" if configuration.exists else "addresses", id="steps"):
            with TabPane("1 Addresses", id="addresses"):
                yield Addresses(configuration)
            with TabPane("2 Slots", id="slots"):
                yield Slots(configuration, self._folder)
            with TabPane("3 Accounts", id="accounts"):
                yield Accounts(configuration)
            with TabPane("4 Network", id="network"):
                yield Checks(
                    configuration,
                    lambda: examine_network(configuration.read()),
                    "The way from this host to scheduler, broker and warehouse, as the writers go it.",
                )
            with TabPane("5 Writers", id="writers"):
                yield Writers(configuration)
            with TabPane("Doctor", id="doctor"):
                yield Checks(
                    configuration,
                    lambda: examine_host(configuration),
                    "What is wrong with this host: power, clock, readers, disks, writers.",
                )
        yield Footer()

    def action_step(self, by: int) -> None:
        """Opens the tab that many steps further."""
        steps = self.query_one("#steps", TabbedContent)
        place = STEPS.index(steps.active) + by
        # A focus that stays in the old pane would open it again.
        self.screen.set_focus(None)
        steps.active = STEPS[max(0, min(place, len(STEPS) - 1))]

    @on(TabbedContent.TabActivated)
    def opened(self, event: TabbedContent.TabActivated) -> None:
        """Shows the step as it is now."""
        for pane in event.pane.query(Pane):
            self.call_after_refresh(pane.show)
        self.call_after_refresh(self._focus_first, event.pane)

    @on(Pane.Changed)
    def configuration_changed(self) -> None:
        """Shows the change in every pane that is not about to look anyway."""
        for pane in self.query(Pane):
            if not isinstance(pane, Checks):
                pane.show()

    def _focus_first(self, pane: TabPane) -> None:
        if self.focused is None:
            entries = pane.query("Input, DataTable, Button").results()
            self.screen.set_focus(next((entry for entry in entries if entry.is_on_screen), None))
