"""What differs from Celery's own worker: narrow rights, late truth, claims.

* Events are persistent, carry the contract's version and the broker's user, and go one by one.
* Nothing is declared but the worker's own mailbox (:mod:`cardshop.control`).
* A message that is delivered again to the process that works on it replaces the delivery that was lost; one
  of a newer attempt ends the work on the older, and waits for that.
* What was canceled is known by the claim, not by a list in this process: a retry has the same task id.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from celery import Task
from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.control import control_command
from celery.worker.request import Request as CeleryRequest
from celery.worker.strategy import default as default_strategy
from kombu.message import Message

from cardshop.contract import names
from cardshop.contract.events import EVENT_VERSION, EventType
from cardshop.worker.stopping import CANCEL_SIGNAL

LOOK_AGAIN_SECONDS = 0.5
"""Pause between two looks whether the work on another attempt of the same task has ended."""

RECONNECT_SECONDS = 1.0
"""Pause before the worker connects again."""


class Dispatcher(EventDispatcher):  # type: ignore[misc]  # Celery has no types
    """Sends the parent process's events: that the worker is there, and that it has a message."""

    def __init__(self, connection: Any, *args: Any, **kwargs: Any) -> None:
        # A buffered group would be sent as one message that is a list of events.
        options = {**kwargs, "buffer_group": None, "delivery_mode": 2}
        super().__init__(connection, *args, **options)
        self._username = connection.userid

    def _prepare_event(self, type: str, fields: dict[str, Any], *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        return super()._prepare_event(type, {"version": EVENT_VERSION, **fields}, *args, **kwargs)

    def _publish(self, event: Any, producer: Any, routing_key: str, **_options: Any) -> None:
        if producer is None:
            return
        try:
            producer.publish(
                event,
                routing_key=routing_key,
                exchange=self.exchange.name,
                serializer=self.serializer,
                headers=self.headers,
                delivery_mode=self.delivery_mode,
                user_id=self._username,
            )
        except Exception:  # noqa: BLE001 - Celery's own rule: events wait while the broker is away
            self._outbound_buffer.append((event, routing_key))


class Events(CeleryEvents):  # type: ignore[misc]
    """Names our dispatcher."""

    dispatcher_cls = Dispatcher


class Request(CeleryRequest):  # type: ignore[misc]
    """A message in this process."""

    @property
    def attempt(self) -> int:
        """The attempt of its task that it is about."""
        return _attempt(self._message)

    def revoked(self) -> bool:
        """Only what this process ended itself; the claim tells of what was canceled before it began."""
        return bool(self._already_revoked)

    def terminate(self, pool: Any, signal: Any = None) -> None:  # noqa: ARG002 - Celery's signature
        """Asks the child to stop; it tells of it when it has."""
        if self.time_start:
            os.kill(self.worker_pid, CANCEL_SIGNAL)

    def adopt(self, message: Message, ack: Callable[..., Any], reject: Callable[..., Any]) -> None:
        """Takes over a new delivery of its message: that one is acknowledged in the end."""
        self._message, self._on_ack, self._on_reject = message, ack, reject


class ClaimedTask(Task):  # type: ignore[misc]
    """A task whose message is acknowledged when its outcome is confirmed."""

    acks_late = True
    reject_on_worker_lost = True
    acks_on_failure_or_timeout = True
    ignore_result = True
    send_events = False  # the child tells, with the claim's number
    Request = Request
    Strategy: ClassVar[str] = "cardshop.worker.celery_parts:strategy"


def strategy(task: ClaimedTask, app: Any, consumer: Any) -> Callable[..., Any]:
    """What is done with a message: tell that it is here, and give it to the child."""
    handle = default_strategy(task, app, consumer)

    def on_message(
        message: Message, body: Any, ack: Callable[..., Any], reject: Callable[..., Any], callbacks: Any
    ) -> Any:
        known = state.requests.get(message.headers.get("id"))
        attempt = _attempt(message)
        if isinstance(known, Request) and known in state.active_requests:
            if known.attempt == attempt:
                known.adopt(message, ack, reject)
                return None
            if known.attempt < attempt:
                known.terminate(consumer.pool)
            later = (message, body, ack, reject, callbacks)
            consumer.timer.call_after(LOOK_AGAIN_SECONDS, on_message, later)
            return None
        if attempt and consumer.event_dispatcher:
            consumer.event_dispatcher.send(
                EventType.TASK_RECEIVED.value,
                uuid=message.headers["id"],
                name=task.name,
                attempt=attempt,
                claim=0,
                seq=1,
            )
        return handle(message, body, ack, reject, callbacks)

    return on_message


@control_command(name=names.STOP_COMMAND, args=[("task_id", str), ("attempt", int)])  # type: ignore[untyped-decorator]
def stop_attempt(_panel: Any, task_id: str, attempt: int) -> dict[str, str]:
    """Ends the work on an attempt that was taken from this worker; a newer one of the task goes on."""
    request = state.requests.get(task_id)
    if not isinstance(request, Request) or request.attempt != attempt:
        return {"ok": "not here"}
    request.terminate(None)
    return {"ok": "stopping"}


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Celery's, without the step that declares exchanges for delayed messages, and not in a hurry."""

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc]
        """The steps that narrow rights allow."""

        default_steps: ClassVar[list[str]] = [
            step for step in CeleryConsumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Pauses: connecting may work, and something that beat declares may still be missing."""
        with warnings.catch_warnings():
            # About a later default of a setting that we set.
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
        time.sleep(RECONNECT_SECONDS)


def _attempt(message: Message) -> int:
    """The attempt in a task's message; 0 when it can't be read, which the child finds out properly."""
    payload = message.payload
    kwargs = payload[1] if isinstance(payload, list | tuple) and len(payload) > 1 else {}
    wire = kwargs.get("message") if isinstance(kwargs, Mapping) else None
    attempt = wire.get("attempt") if isinstance(wire, Mapping) else None
    return attempt if isinstance(attempt, int) else 0
