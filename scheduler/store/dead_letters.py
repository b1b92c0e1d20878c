"""The collection ``dead_letters``: messages that nobody could understand or believe."""

from __future__ import annotations

from scheduler.store.database import Clock, Collection, Database, Document

LONGEST_BODY = 64 * 1024
"""Characters of a message that are kept."""


class DeadLetters:
    """Dead letters, newest first."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._letters: Collection[Document] = database["dead_letters"]
        self._clock = clock

    def add(self, *, source: str, sender: str, why: str, body: str) -> None:
        """Keeps a message.

        Args:
            source: the queue that it came from.
            sender: the broker's validated user; empty when the message has none.
            why: a sentence.
            body: the message as text.
        """
        self._letters.insert_one(
            {"at": self._clock(), "source": source, "sender": sender, "why": why, "body": body[:LONGEST_BODY]}
        )

    def every(self, *, limit: int = 200) -> list[Document]:
        """The newest ones, with ``id``."""
        found = self._letters.find().sort("_id", -1).limit(limit)
        return [{"id": str(letter.pop("_id")), **letter} for letter in found]
