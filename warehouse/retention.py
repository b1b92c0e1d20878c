"""Deletes the images that the scheduler has given up, after asking once more, and abandoned uploads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import structlog

from cardshop.contract.errors import CardshopError, Conflict, NotFound
from cardshop.scheduler_client import SchedulerClient
from warehouse.filesystem import ImageFolder
from warehouse.shelving import ShelfFolder

ASK_SECONDS = 60.0

_log = structlog.get_logger("warehouse")


class Retention(threading.Thread):
    """Asks the scheduler each minute what to delete.

    A creator that brings the same image at that moment may have been told that it is here. So its files are
    set aside first, and the scheduler, which knows of the creator, says whether they may go. The shelf's
    abandoned parts go without a question: nobody else knows of them.
    """

    def __init__(self, scheduler: SchedulerClient, folder: ImageFolder, shelf: ShelfFolder) -> None:
        super().__init__(name="retention", daemon=True)
        self._scheduler = scheduler
        self._folder = folder
        self._shelf = shelf
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until the process ends; a scheduler that is away is asked again."""
        while True:
            for delete in (self.delete_given_up, self._drop_abandoned):
                try:
                    delete()
                except (CardshopError, OSError) as error:
                    _log.warning("nothing-deleted", reason=str(error))
            if self._stopped.wait(ASK_SECONDS):
                return

    def stop(self) -> None:
        """Ends it."""
        self._stopped.set()

    def delete_given_up(self) -> None:
        """Deletes what may go now, and decides on what an earlier process left set aside.

        Raises:
            CardshopError: the scheduler does not answer.
        """
        given_up = [removal["digest"] for removal in self._scheduler.get("/v1/removals")["items"]]
        for digest in dict.fromkeys([*self._folder.aside(), *given_up]):
            if not self._folder.set_aside(digest):
                continue
            try:
                self._scheduler.post(f"/v1/removals/{digest}", {})
            except (Conflict, NotFound) as error:
                self._folder.put_back(digest)
                _log.info("image-kept", digest=digest, reason=error.sentence)
            else:
                self._folder.delete(digest)
                _log.info("image-deleted", digest=digest)

    def _drop_abandoned(self) -> None:
        self._shelf.drop_abandoned(datetime.now(UTC))
