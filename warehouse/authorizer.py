"""Who decides about a token: the scheduler, asked at each login."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Protocol

from cardshop.contract.errors import CardshopError, NotAllowed, Unavailable
from cardshop.scheduler_client import SchedulerClient
from warehouse.rights import Operation, Right

_DIGEST = re.compile(r"[0-9a-f]{64}")


class TokenJudge(Protocol):
    """Says what a token is good for."""

    def right(self, token: str) -> Right:
        """The right that the token gives.

        Raises:
            NotAllowed: none.
            Unavailable: nobody can tell now.
        """


class SchedulerJudge:
    """Asks the scheduler. Blocks for as long as it takes to answer; safe to share between threads."""

    def __init__(self, scheduler: SchedulerClient) -> None:
        self._scheduler = scheduler

    def right(self, token: str) -> Right:
        """As :meth:`TokenJudge.right`."""
        try:
            answer = self._scheduler.post("/auth/warehouse", {"token": token})
        except NotAllowed:
            raise NotAllowed("The scheduler does not accept this token.") from None
        except CardshopError as error:
            # Whatever else is wrong is not the fault of the one who shows the token.
            raise Unavailable(
                f"The scheduler could not be asked about the token: {error.sentence}"
            ) from error
        return _right(answer)


def _right(answer: Any) -> Right:
    try:
        if answer["allowed"] is not True or not _DIGEST.fullmatch(answer["digest"]):
            raise NotAllowed("The scheduler does not accept this token.")
        return Right(
            operation=Operation(answer["operation"]),
            digest=answer["digest"],
            expires_at=_time(answer["expires_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("The scheduler's answer about the token can't be understood.") from error


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time
