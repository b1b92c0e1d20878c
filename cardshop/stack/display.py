"""What a person sees of the stack: progress while it starts, and the table of its services."""

from __future__ import annotations

import datetime as dt
from types import TracebackType

from rich import progress
from rich.console import Console
from rich.table import Table

from cardshop.contract.errors import Unavailable
from cardshop.stack.stack import Stack


class Progress:
    """A line for each service that starts; call it as the stack's observer inside ``with``."""

    def __init__(self, console: Console) -> None:
        self._bars = progress.Progress(
            progress.SpinnerColumn(finished_text="[green]✓"),
            progress.TextColumn("{task.description}"),
            progress.TimeElapsedColumn(),
            console=console,
        )
        self._lines: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, service: str, what: str) -> None:
        """Shows what happens to a service."""
        if what == "ready":
            self._bars.update(self._lines[service], completed=1)
        else:
            self._lines[service] = self._bars.add_task(service, total=1)


def status_table(stack: Stack) -> Table:
    """Each service with its state, process, start and address."""
    table = Table("service", "state", "pid", "since", "address")
    try:
        states = {state.name: state for state in stack.states()}
    except Unavailable:
        states = {}
    for service in stack.services.all():
        state = states.get(service.name)
        up = state is not None and state.running
        name = "stopped" if state is None else state.state.lower()
        table.add_row(
            service.name,
            f"[green]{name}" if up else f"[red]{name}",
            str(state.pid) if state and up else "",
            _since(state.since) if state and up else "",
            str(service.address or ""),
        )
    return table


def _since(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
