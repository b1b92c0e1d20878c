"""Workers: creators and writers as their events show them, with their slots."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Told
from scheduler.domain.rights import Right
from scheduler.domain.states import SlotState
from scheduler.store import drains as records


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


class Drain(Told):
    """A time in which a worker took no new work."""

    who: str
    at: Moment
    why: str
    ended_by: str
    ended_at: Moment | None  # None: it still takes none
    ended_why: str

    @classmethod
    def of(cls, drain: records.Drain) -> Drain:
        """The time as told."""
        return cls(
            who=drain.who,
            at=drain.at,
            why=drain.why,
            ended_by=drain.ended_by,
            ended_at=drain.ended_at,
            ended_why=drain.ended_why,
        )


class Worker(Told):
    """A worker that was heard of."""

    username: str
    kind: str  # "creator" or "writer"
    hostname: str
    state: str  # "online", "offline" (said so) or "silent"
    last_seen: Moment
    slots: list[Slot]
    drain: Drain | None  # it takes no new work
    tasks: int  # that it has in hand


class WorkerList(Resource):
    """``/v1/workers``."""

    @operation("List the workers", Right.READ_WORKERS, answer=Listed[Worker])
    def get(self) -> Listed[Worker]:
        """Every worker, by name."""
        store = self.services.store
        drains = {name: Drain.of(drain) for name, drain in store.drains.now().items()}
        loads = store.queue.loads().values()
        tasks = {name: count for load in loads for name, count in load.by_worker.items()}
        workers = [
            Worker(
                username=worker.username,
                kind=worker.kind,
                hostname=worker.hostname,
                state=worker.state,
                last_seen=worker.last_seen,
                drain=drains.get(worker.username),
                tasks=tasks.get(worker.username, 0),
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
            for worker in store.workers.every()
        ]
        return Listed[Worker](items=workers, total=len(workers))
