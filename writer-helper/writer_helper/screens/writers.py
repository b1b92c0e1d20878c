"""Step 5: the writers, live: each slot, its card, its writer, and what the writer says."""

from __future__ import annotations

from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, DataTable, Log, Static

from cardshop.contract.errors import CardshopError
from cardshop.sizes import size_said
from cardshop.writer_host import WriterHost
from writer_helper.overview import overview
from writer_helper.runners import Runner, WriterState, runner_for
from writer_helper.screens.pane import NOT_YET, Pane

LOOK_SECONDS = 1.0
LOG_LINES = 12
COLUMNS = ("Slot", "Card", "Writer", "Since", "Starts with the host")

Rows = list[tuple[str, ...]]


class Writers(Pane):
    """Starts, stops and watches the writers."""

    def compose(self) -> ComposeResult:
        """The buttons, the slots, and the last words of the marked one's writer."""
        yield Static("", id="writers-lead", classes="lead", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("Start all", id="start", variant="primary")
            yield Button("Stop all", id="stop")
            yield Button("Update", id="update")
        yield DataTable(id="writer-table", cursor_type="row")
        yield Static("What the writer of the marked slot logged last:", classes="lead")
        yield Log(id="log")

    def on_mount(self) -> None:
        """Looks at the writers from now on."""
        self.query_one(DataTable).add_columns(*COLUMNS)
        self.set_interval(LOOK_SECONDS, self.show)

    def show(self) -> None:
        """Asks for the writers' states, while the pane is seen."""
        if self.is_open:
            table = self.query_one(DataTable)
            marked = str(table.get_row_at(table.cursor_row)[0]) if table.row_count else ""
            self._look(marked)

    @work(thread=True, exclusive=True, group="look")
    def _look(self, marked: str) -> None:
        host = self.host() if self.configuration.exists else None
        if host is None:
            self.app.call_from_thread(self._show, [], [], NOT_YET)
            return
        try:
            runner = runner_for(host, self.configuration.path)
            states = {slot.name: runner.state(slot.name) for slot in host.slots}
            last = list(runner.logs(marked or host.slots[0].name, LOG_LINES)) if host.slots else []
        except CardshopError as error:
            self.app.call_from_thread(self._show, [], [], f"{error.sentence} {error.hint}")
            return
        running = sum(state.running for state in states.values())
        lead = f"{running} of {len(states)} writers run ({host.run.value})."
        self.app.call_from_thread(self._show, _rows(host, states), last, lead)

    def _show(self, rows: Rows, last: list[str], lead: str) -> None:
        self.query_one("#writers-lead", Static).update(lead)
        table = self.query_one(DataTable)
        row = table.cursor_row
        table.clear()
        for cells in rows:
            table.add_row(*cells)
        table.move_cursor(row=row)
        log = self.query_one(Log)
        log.clear()
        log.write_lines(last)

    @on(Button.Pressed, "#start")
    def start(self) -> None:
        """Starts the writers that don't run."""

        def begin(host: WriterHost, runner: Runner) -> str:
            for slot in host.slots:
                runner.start(slot)
            return f"{len(host.slots)} writers run."

        self._do(begin)

    @on(Button.Pressed, "#stop")
    def stop(self) -> None:
        """Stops all writers of this host that are ours."""

        def end(_host: WriterHost, runner: Runner) -> str:
            names = runner.known()
            for name in names:
                runner.stop(name)
            return f"{len(names)} writers stopped."

        self._do(end)

    @on(Button.Pressed, "#update")
    def update_writers(self) -> None:
        """Has the writers run the newest version."""
        self._do(lambda _host, runner: f"{len(runner.update())} writers were started again.")

    @work(thread=True, exclusive=True, group="do")
    def _do(self, act: Callable[[WriterHost, Runner], str]) -> None:
        try:
            host = self.configuration.read()
            told = act(host, runner_for(host, self.configuration.path))
        except CardshopError as error:
            self.app.call_from_thread(self.tell, error)
            return
        self.app.call_from_thread(self.notify, told)


def _rows(host: WriterHost, states: dict[str, WriterState]) -> Rows:
    rows: Rows = []
    for view in overview(host.slots):
        if not view.slot:
            continue
        state = states[view.name]
        card = (size_said(view.place.card_bytes) or "empty") if view.place else view.verdict
        since = state.since.astimezone().strftime("%Y-%m-%d %H:%M:%S") if state.since else ""
        writer = state.what if state.running else "stopped"
        rows.append((view.name, card, writer, since, "yes" if state.at_boot else "no"))
    return rows
