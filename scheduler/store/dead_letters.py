"""The collection ``dead_letters``: messages that nobody could understand or believe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from pymongo import UpdateOne

from scheduler.store.database import Clock, Collection, Database, Document

LONGEST_BODY = 64 * 1024
"""Characters of a message that are kept."""


@dataclass(frozen=True)
class NewLetter:
    """A message to keep."""

    source: str  # the queue that it came from
    sender: str  # the broker's validated user; empty when the message has none
    why: str  # a sentence
    body: str  # the message as text


class DeadLetters:
    """Dead letters, newest first. One that comes again is the same letter, so that a flood is one line."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._letters: Collection[Document] = database["dead_letters"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._letters.create_index([("at", -1)])

    def add_all(self, letters: Iterable[NewLetter]) -> None:
        """Keeps messages."""
        now = self._clock()
        upserts = [
            UpdateOne(
                {"_id": _id(letter)},
                {
                    "$set": {"at": now, "why": _clean(letter.why)},
                    "$setOnInsert": {
                        "source": letter.source,
                        "sender": letter.sender,
                        "body": letter.body[:LONGEST_BODY],
                    },
                    "$inc": {"times": 1},
                },
                upsert=True,
            )
            for letter in letters
        ]
        if upserts:
            self._letters.bulk_write(upserts, ordered=False)

    def every(self, *, limit: int = 200) -> list[Document]:
        """The newest ones, with ``id``."""
        found = self._letters.find().sort("at", -1).limit(limit)
        return [{"id": letter.pop("_id"), **letter} for letter in found]


def _id(letter: NewLetter) -> str:
    told = f"{letter.source}\0{letter.sender}\0{letter.body}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _clean(text: str) -> str:
    """Without the lone surrogates that JSON can name and MongoDB can't keep."""
    return text.encode(errors="replace").decode()
