"""Step 3: the writers' accounts, by a one-time code; or typed, and not shown."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, DataTable, Input, Label, Static

from cardshop.contract.errors import CardshopError
from writer_helper.enrolment import enrol, without_account
from writer_helper.screens.pane import NOT_YET, Pane

LEAD = (
    "In the manager: Workers, Enrol a host. Type the code that it shows; passwords are made here, and nobody "
    "needs to know them."
)


class Accounts(Pane):
    """Gets each writer its account."""

    def compose(self) -> ComposeResult:
        """The code, what there is, and the other way."""
        yield Static(LEAD, id="accounts-lead", classes="lead", markup=False)
        with Horizontal(classes="line"):
            yield Label("Code")
            yield Input(id="code", password=True, placeholder="XXXX-XXXX-XXXX-XXXX")
            yield Button("Enrol", id="enrol", variant="primary")
        yield Static("", id="accounts-told", markup=False)
        yield DataTable(id="account-table", cursor_type="row")
        yield Static("An account that was made otherwise is for the marked slot:", classes="lead")
        with Horizontal(classes="line"):
            yield Input(id="username", placeholder="user name")
            yield Input(id="password", password=True, placeholder="password")
            yield Button("Keep", id="keep")

    def on_mount(self) -> None:
        """The table's head."""
        self.query_one(DataTable).add_columns("Slot", "Account", "Password")
        self.show()

    def show(self) -> None:
        """Which writer has an account."""
        host = self.host()
        self.query_one("#accounts-lead", Static).update(LEAD if host else NOT_YET)
        table = self.query_one(DataTable)
        table.clear()
        for slot in host.slots if host else ():
            table.add_row(slot.name, slot.username or "none yet", "kept" if slot.password else "")

    @on(Button.Pressed, "#enrol")
    @on(Input.Submitted, "#code")
    def begin(self) -> None:
        """Takes the code out of its entry, and exchanges it."""
        entry = self.query_one("#code", Input)
        code, entry.value = entry.value.strip(), ""
        self._say("Asking the scheduler ...", "")
        self._enrol(code)

    @work(thread=True, exclusive=True)
    def _enrol(self, code: str) -> None:
        try:
            usernames = enrol(self.configuration, code, without_account(self.configuration.read()))
        except CardshopError as error:
            self.app.call_from_thread(self._say, f"{error.sentence} {error.hint}".strip(), "bad")
            return
        told = ", ".join(f"{slot} is {username}" for slot, username in usernames.items())
        self.app.call_from_thread(self._done, f"Enrolled: {told}. Next: the network (Ctrl+N).")

    @on(Button.Pressed, "#keep")
    def keep(self) -> None:
        """Gives the marked slot the account that was typed."""
        table = self.query_one(DataTable)
        if not table.row_count:
            self._say("There is no slot yet: name the slots first.", "bad")
            return
        slot = str(table.get_row_at(table.cursor_row)[0])
        username, password = self.query_one("#username", Input), self.query_one("#password", Input)
        try:
            self.configuration.put_accounts({slot: (username.value.strip(), password.value)})
        except CardshopError as error:
            self._say(error.sentence, "bad")
            return
        finally:
            password.value = ""
        self._done(f"The writer of slot {slot} is {username.value.strip()}.")

    def _done(self, sentence: str) -> None:
        self._say(sentence, "good")
        self.show()
        self.post_message(self.Changed())

    def _say(self, sentence: str, tone: str) -> None:
        told = self.query_one("#accounts-told", Static)
        told.update(sentence)
        told.set_classes(tone)
