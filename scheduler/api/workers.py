"""Workers: creators and writers as their events show them, with their slots."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Told
from scheduler.domain.rights import Right
from scheduler.domain.states import SlotState


class Card(Told):
    """The card in a slot."""

    serial: str
    size_bytes: int


class Slot(Told):
    """A slot of a writer, as last heard."""

    slot: str
    state: SlotState
    card: Card | None
    at: Moment


class Worker(Told):
    """A worker that was heard of."""

    username: str
    kind: str  # "creator" or "writer"
    hostname: str
    state: str  # "online", "offline" (said so) or "silent"
    last_seen: Moment
    slots: list[Slot]


class WorkerList(Resource):
    """``/v1/workers``."""

    @operation("List the workers", Right.READ_WORKERS, answer=Listed[Worker])
    def get(self) -> Listed[Worker]:
        """Every worker, by name."""
        workers = [
            Worker(
                username=worker.username,
                kind=worker.kind,
                hostname=worker.hostname,
                state=worker.state,
                last_seen=worker.last_seen,
                slots=[
                    Slot(
                        slot=slot.slot,
                        state=slot.state,
                        card=None if slot.card is None else Card(**slot.card),
                        at=slot.at,
                    )
                    for slot in worker.slots
                ],
            )
            for worker in self.services.store.workers.every()
        ]
        return Listed[Worker](items=workers, total=len(workers))
