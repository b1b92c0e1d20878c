"""Dead letters: kept with an alarm, and decided on by an admin, who replays or discards them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardshop.contract import names, wire
from cardshop.contract.errors import Conflict, MessageRejected
from cardshop.contract.events import read_events
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.tasks import TaskKind
from scheduler.shop.alarms import end_alarm, raise_alarm
from scheduler.shop.folding import Told, fold_events
from scheduler.store.dead_letters import DeadLetter, LetterState, NewLetter
from scheduler.store.outbox import LineKind, OutboxLine
from scheduler.store.store import Store

ALARM_SUBJECT = "dead letters"


def keep(store: Store, letters: Sequence[NewLetter]) -> None:
    """Keeps messages that nobody could understand or believe, and raises the alarm about them."""
    if not letters:
        return
    store.dead_letters.add_all(letters)
    sentence = "Messages could not be understood or believed. An admin decides on the page Dead letters."
    raise_alarm(store, kind=AlarmKind.DEAD_LETTERS, subject=ALARM_SUBJECT, sentence=sentence)


def replay(store: Store, letter_id: str, *, who: str) -> DeadLetter:
    """Gives the message another chance: an event is folded, a task's message is sent again.

    For when the cause is gone (a newer monitor, a worker's account that was missing). The event counts as its
    sender's, whom the broker had checked. Asking twice is the same as asking once.

    Raises:
        Conflict: it is refused again; the letter waits, with the new reason.
        NotFound: there is no such letter.
    """
    letter = store.dead_letters.get(letter_id)
    if letter.state is LetterState.REPLAYED:
        return letter
    try:
        if letter.source == names.DEAD_LETTER_QUEUE:
            _send_task_again(store, letter)
        else:
            _fold_again(store, letter)
    except MessageRejected as error:
        raise Conflict(f"It is refused again: {error.sentence}", hint="Discard it.") from error
    return _decided(store, letter, LetterState.REPLAYED, who)


def discard(store: Store, letter_id: str, *, who: str) -> DeadLetter:
    """The message is of no use. Asking twice is the same as asking once. Raises NotFound."""
    return _decided(store, store.dead_letters.get(letter_id), LetterState.DISCARDED, who)


def _decided(store: Store, letter: DeadLetter, state: LetterState, who: str) -> DeadLetter:
    store.dead_letters.decide(letter.id, state, who=who)
    if not store.dead_letters.waiting():
        end_alarm(store, kind=AlarmKind.DEAD_LETTERS, subject=ALARM_SUBJECT)
    return store.dead_letters.get(letter.id)


def _fold_again(store: Store, letter: DeadLetter) -> None:
    if not letter.sender:
        raise MessageRejected("The message doesn't say who sent it.", field="user_id")
    events = [Told(event, letter.sender) for event in read_events(letter.body)]
    for rejected in fold_events(store, events).values():
        raise rejected


def _send_task_again(store: Store, letter: DeadLetter) -> None:
    message = _task_message(letter.body)

    def work(session: Any) -> None:
        task = store.tasks.get(str(message["task_id"]), session)
        if task.final or task.attempt != message.get("attempt"):
            raise Conflict(
                f"The task is {task.state}, at attempt {task.attempt}: nothing waits for this message.",
                hint="Discard it; a retry sends a message of its own.",
            )
        create = task.kind is TaskKind.CREATE
        queue = names.CREATE_QUEUE if create else names.write_queue(task.worker or "")
        name = names.CREATE_TASK if create else names.WRITE_TASK
        store.outbox.add([OutboxLine(LineKind.TASK, task.id, queue, name, message)], session)

    store.transaction(work)


def _task_message(body: str) -> Mapping[str, Any]:
    """The contract's message out of Celery's body ``[args, {"message": …}, …]``. Raises MessageRejected."""
    try:
        message = wire.parse(body)[1]["message"]
    except (ValueError, LookupError, TypeError):
        raise MessageRejected("The message is no task of ours.") from None
    if not isinstance(message, Mapping) or "task_id" not in message:
        raise MessageRejected("The message names no task.", field="task_id")
    return message
