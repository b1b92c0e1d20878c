"""Step 4 and the doctor: verdicts, one line each as they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Static
from textual.worker import get_current_worker

from cardshop.contract.errors import CardshopError
from writer_helper.configuration import Configuration
from writer_helper.screens.pane import Pane
from writer_helper.verdicts import Mark, Verdict, bad, line

Examine = Callable[[], Iterator[Verdict]]


class Checks(Pane):
    """A report that is made anew when its tab opens.

    Args:
        configuration: of this host.
        examine: looks at everything, one verdict after the other.
        lead: what the report is about.
        name: of the pane.
    """

    def __init__(self, configuration: Configuration, examine: Examine, lead: str) -> None:
        super().__init__(configuration)
        self._examine = examine
        self._lead = lead

    def compose(self) -> ComposeResult:
        """The report and its end."""
        yield Static(self._lead, classes="lead", markup=False)
        yield Vertical(classes="verdicts")
        yield Static("", classes="summary", markup=False)
        yield Button("Look again", classes="again")

    def show(self) -> None:
        """Looks again, when the pane is seen."""
        if self.is_open:
            self.look()

    @on(Button.Pressed, ".again")
    def look(self) -> None:
        """Begins the report anew."""
        self.query_one(".verdicts").remove_children()
        self._tell("Looking ...", "")
        self._run()

    @work(thread=True, exclusive=True)
    def _run(self) -> None:
        worker = get_current_worker()
        marks = []
        try:
            for verdict in self._examine():
                if worker.is_cancelled:
                    return
                marks.append(verdict.mark)
                self.app.call_from_thread(self._add, verdict)
        except CardshopError as error:
            self.app.call_from_thread(self._add, bad("configuration", error.sentence, error.hint))
            marks.append(Mark.BAD)
        self.app.call_from_thread(self._tell, *_summary(marks))

    def _add(self, verdict: Verdict) -> None:
        shown: Text = line(verdict)
        self.query_one(".verdicts").mount(Static(shown))

    def _tell(self, sentence: str, tone: str) -> None:
        summary = self.query_one(".summary", Static)
        summary.update(sentence)
        summary.set_classes(f"summary {tone}")


def _summary(marks: Sequence[Mark]) -> tuple[str, str]:
    """What to say of a whole report, and in which tone."""
    if count := marks.count(Mark.BAD):
        return f"{count} to see to.", "bad"
    if count := marks.count(Mark.WARNING):
        return f"Writers can work; {count} to see to when there is time.", ""
    return "All is well.", "good"
