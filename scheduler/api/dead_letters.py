"""Dead letters: messages that nobody could understand or believe."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Told
from scheduler.domain.rights import Right


class DeadLetter(Told):
    """A message, and why it is dead."""

    id: str
    at: Moment
    source: str  # queue that it came from
    sender: str  # the broker's validated user; empty when the message has none
    why: str
    body: str
    times: int  # that it came


class DeadLetterList(Resource):
    """``/v1/dead-letters``."""

    @operation("List the dead letters, newest first", Right.READ_DEAD_LETTERS, answer=Listed[DeadLetter])
    def get(self) -> Listed[DeadLetter]:
        """The newest ones."""
        letters = [DeadLetter.model_validate(letter) for letter in self.services.store.dead_letters.every()]
        return Listed[DeadLetter](items=letters, total=len(letters))
