"""One tree of errors: the same code in an event, a problem document and an exit status.

Each class fixes a ``code`` (stable, part of the contract), an HTTP ``status`` and whether trying again can
help (``retryable``). An instance adds a sentence for a person, a hint of what to do, and the field it is
about, where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class CardshopError(Exception):
    """An error that a person may see. ``sentence`` never holds a secret."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, sentence: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.field = field

    def to_wire(self) -> dict[str, Any]:
        """The error as events and problem documents carry it."""
        return {
            "code": self.code,
            "sentence": self.sentence,
            "hint": self.hint,
            "field": self.field,
            "retryable": self.retryable,
        }

    @property
    def exit_status(self) -> int:
        """Exit status of a command that ended with this error (64-78, as in ``sysexits.h``)."""
        return _EXIT_STATUSES.get(self.status, 70)


class InvalidInput(CardshopError):
    """A value from outside is wrong; ``field`` names it."""

    code, status = "invalid-input", 422


class NotAuthenticated(CardshopError):
    """No valid credentials were shown."""

    code, status = "not-authenticated", 401


class NotAllowed(CardshopError):
    """The credentials are valid and do not give this right."""

    code, status = "not-allowed", 403


class NotFound(CardshopError):
    """There is no such thing, or none that the asker may see."""

    code, status = "not-found", 404


class Conflict(CardshopError):
    """The thing's state doesn't allow what was asked."""

    code, status = "conflict", 409


class TooManyRequests(CardshopError):
    """Asked too often; wait and ask again."""

    code, status, retryable = "too-many-requests", 429, True


class DoesNotFit(CardshopError):
    """The contents are larger than the card."""

    code, status = "does-not-fit", 422


class Unavailable(CardshopError):
    """A part that is needed does not answer now."""

    code, status, retryable = "unavailable", 503, True


class TaskCanceled(CardshopError):
    """The task was canceled, or a newer attempt or another worker has it: stop, report nothing good."""

    code, status = "task-canceled", 409


class WorkerDrained(CardshopError):
    """The worker is drained for maintenance: another one is to do it."""

    code, status, retryable = "worker-drained", 409, True


class MessageRejected(CardshopError):
    """A message that can't be understood or must not be believed; it goes to the dead letters."""

    code, status = "message-rejected", 400


class ProgramFailed(CardshopError):
    """An external program failed, is missing, or took too long."""

    code = "program-failed"


class ContentDamaged(CardshopError):
    """Bytes differ from their checksum."""

    code, status, retryable = "content-damaged", 502, True


class MirrorRefused(CardshopError):
    """A content's address may not be fetched, or its server doesn't deliver."""

    code, status, retryable = "mirror-refused", 502, True


class NoSpace(CardshopError):
    """The work folder's file system has too little room."""

    code, status, retryable = "no-space", 507, True


class LimitReached(CardshopError):
    """The work needs more than the admin lets it have: memory, disk or time."""

    code, status = "limit-reached", 507


class ImageDamaged(CardshopError):
    """A built or downloaded image is not what its manifest says."""

    code, retryable = "image-damaged", True


class BootFailed(CardshopError):
    """A built image does not start in its virtual machine, or not as it was ordered."""

    code = "boot-failed"


class CardRefused(CardshopError):
    """What is in the slot may not be written: not the slot's card, too small, read-only, in use."""

    code, status = "card-refused", 409


class CardFailed(CardshopError):
    """The card did not take the bytes, or did not give them back."""

    code = "card-failed"


_EXIT_STATUSES = {400: 65, 401: 77, 403: 77, 404: 66, 409: 75, 422: 65, 429: 75, 503: 69, 507: 73}
_CLASSES: dict[str, type[CardshopError]] = {}


def _register(cls: type[CardshopError]) -> None:
    _CLASSES[cls.code] = cls
    for subclass in cls.__subclasses__():
        _register(subclass)


_register(CardshopError)


def error_from_wire(wire: Mapping[str, Any]) -> CardshopError:
    """The error that ``to_wire`` described; an unknown code becomes a plain :class:`CardshopError`."""
    cls = _CLASSES.get(str(wire.get("code", "")), CardshopError)
    return cls(
        str(wire.get("sentence", "unknown error")),
        hint=str(wire.get("hint", "")),
        field=str(wire.get("field", "")),
    )
