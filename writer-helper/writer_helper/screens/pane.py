"""What all panes are: a look at the configuration, shown anew when it may have changed."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.message import Message

from cardshop.contract.errors import CardshopError, NotFound
from cardshop.writer_host import WriterHost
from writer_helper.configuration import Configuration

NOT_YET = "There is no configuration yet: begin with the addresses."


class Pane(VerticalScroll):
    """One step of the walk. ``configuration`` is the file that the whole walk is about."""

    can_focus = False

    class Changed(Message):
        """The configuration changed: the other panes shall show it."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration

    def show(self) -> None:
        """Shows what is now."""

    @property
    def is_open(self) -> bool:
        """Whether the pane's tab is the one that is seen."""
        return bool(self.parent and self.parent.display and self.is_on_screen)

    def host(self) -> WriterHost | None:
        """The configuration; None when there is none yet, or when it is wrong, which is told then."""
        try:
            return self.configuration.read()
        except NotFound:
            return None
        except CardshopError as error:
            self.tell(error)
            return None

    def tell(self, error: CardshopError) -> None:
        """An error, in a corner of the screen."""
        self.notify(f"{error.sentence}\n{error.hint}".strip(), severity="error", timeout=10, markup=False)
