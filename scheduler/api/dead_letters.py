"""Dead letters: messages that nobody could understand or believe, and what an admin does with them."""

from __future__ import annotations

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Paged, Told
from scheduler.domain.rights import Right
from scheduler.shop import dead_letters as shop
from scheduler.shop.accounts import Caller
from scheduler.store import dead_letters as store
from scheduler.store.dead_letters import LetterState


class DeadLetterQuery(Paged):
    """Which letters."""

    state: LetterState = Field(default=LetterState.WAITING, description="what became of them")


class DeadLetter(Told):
    """A message, and why it is dead."""

    id: str
    at: Moment  # when it came last
    source: str  # queue that it came from
    sender: str  # the broker's validated user; empty when the message has none
    why: str
    body: str
    times: int  # that it came
    state: LetterState
    decided_by: str | None
    decided_at: Moment | None

    @classmethod
    def of(cls, letter: store.DeadLetter) -> DeadLetter:
        """The letter as told."""
        return cls(**vars(letter))


class DeadLetterList(Resource):
    """``/v1/dead-letters``."""

    @operation(
        "List the dead letters, newest first",
        Right.READ_DEAD_LETTERS,
        query=DeadLetterQuery,
        answer=Listed[DeadLetter],
    )
    def get(self, query: DeadLetterQuery) -> Listed[DeadLetter]:
        """Those that wait for a decision, or that were decided on."""
        letters, total = self.services.store.dead_letters.page(
            query.state, skip=query.skip, limit=query.per_page
        )
        return Listed[DeadLetter](items=[DeadLetter.of(letter) for letter in letters], total=total)


class DeadLetterReplay(Resource):
    """``/v1/dead-letters/{letter_id}/replay``."""

    @operation("Give a dead letter another chance", Right.DECIDE_DEAD_LETTERS, answer=DeadLetter)
    def post(self, caller: Caller, letter_id: str) -> DeadLetter:
        """An event is folded, a task's message is sent again; 409 when it is refused again."""
        return DeadLetter.of(shop.replay(self.services.store, letter_id, who=caller.username))


class DeadLetterDiscard(Resource):
    """``/v1/dead-letters/{letter_id}/discard``."""

    @operation("Discard a dead letter", Right.DECIDE_DEAD_LETTERS, answer=DeadLetter)
    def post(self, caller: Caller, letter_id: str) -> DeadLetter:
        """It is of no use; it is still shown, among those that were decided on."""
        return DeadLetter.of(shop.discard(self.services.store, letter_id, who=caller.username))
