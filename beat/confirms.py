"""Publishing in a pipeline: many messages are on their way before the first is confirmed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kombu import Connection, Producer
from kombu.exceptions import KombuError


class Pipeline:
    """A channel that tells which messages the broker has, and which it refused.

    Args:
        connection: open, and made not to wait for confirms by itself.

    Attributes:
        confirmed: keys of the messages that the broker has safely.
        refused: keys of those that it has not, with the reason: no queue takes it, or it was turned down.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._returned)
        self._producer = Producer(self._channel, auto_declare=False)
        self._published = 0
        self._waiting: dict[int, str] = {}  # by the number that the broker confirms
        self.confirmed: set[str] = set()
        self.refused: dict[str, str] = {}

    def publish(self, key: str, publish: Callable[[Producer], object]) -> None:
        """Sends one message without waiting; ``publish`` must publish exactly one, with ``message_id=key``.

        One that can't be made into a message is refused, and no other suffers from it.
        """
        try:
            publish(self._producer)
        except (*self._connection.connection_errors, *self._connection.channel_errors, KombuError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the message, it is told
            self.refused[key] = f"it can't be written ({error!r})"
        else:
            self._published += 1
            self._waiting[self._published] = key

    def wait(self, seconds: float) -> None:
        """Returns when each message is confirmed or refused.

        Raises:
            TimeoutError: the broker said nothing for so long.
        """
        until = time.monotonic() + seconds
        while self._waiting:
            self._connection.drain_events(timeout=max(0.001, until - time.monotonic()))

    def _acked(self, number: int, multiple: bool) -> None:
        for key in self._taken(number, multiple):
            if key not in self.refused:
                self.confirmed.add(key)

    def _nacked(self, number: int, multiple: bool) -> None:
        for key in self._taken(number, multiple):
            self.refused[key] = "the broker turned it down"

    def _returned(self, error: Exception, _exchange: str, routing_key: str, message: Any) -> None:
        # It comes before the confirm, which only says that the broker is done with the message.
        self.refused[message.properties["message_id"]] = f"no queue {routing_key} takes it ({error})"

    def _taken(self, number: int, multiple: bool) -> list[str]:
        numbers = [each for each in self._waiting if each <= number] if multiple else [number]
        return [self._waiting.pop(each) for each in numbers]
