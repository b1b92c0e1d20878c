"""Maintenance: drain a worker and resume it."""

from __future__ import annotations

from scheduler.api.control import Reason
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed
from scheduler.api.services import Services
from scheduler.api.workers import Drain
from scheduler.domain.rights import Right
from scheduler.shop import maintenance as shop
from scheduler.shop.accounts import Caller


class WorkerDrain(Resource):
    """``/v1/workers/{username}/drain``."""

    @operation("Drain a worker for maintenance", Right.DRAIN_WORKERS, body=Reason, answer=Listed[Drain])
    def post(self, caller: Caller, username: str, body: Reason) -> Listed[Drain]:
        """It ends what it has and gets nothing new; asking twice is the same as asking once.

        The answer is the worker's drains, the newest first.
        """
        shop.drain(self.services.store, username, who=caller.username, why=body.why)
        return _drains(self.services, username)


class WorkerResume(Resource):
    """``/v1/workers/{username}/resume``."""

    @operation("Let a drained worker take work again", Right.DRAIN_WORKERS, body=Reason, answer=Listed[Drain])
    def post(self, caller: Caller, username: str, body: Reason) -> Listed[Drain]:
        """Asking twice is the same as asking once. The answer is the worker's drains, the newest first."""
        shop.resume(self.services.store, username, who=caller.username, why=body.why)
        return _drains(self.services, username)


class WorkerDrains(Resource):
    """``/v1/workers/{username}/drains``."""

    @operation("List when a worker took no new work", Right.READ_WORKERS, answer=Listed[Drain])
    def get(self, username: str) -> Listed[Drain]:
        """The newest first: from when to when, who said so and why."""
        shop.role_of(self.services.store, username)
        return _drains(self.services, username)


def _drains(services: Services, username: str) -> Listed[Drain]:
    drains = [Drain.of(drain) for drain in services.store.drains.of_worker(username)]
    return Listed[Drain](items=drains, total=len(drains))
