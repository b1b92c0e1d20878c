"""The collection ``dead_letters``: messages that nobody could understand or believe, and their fate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pymongo import UpdateOne

from cardshop.contract.errors import NotFound
from scheduler.store.database import Clock, Collection, Database, Document

LONGEST_BODY = 64 * 1024
"""Characters of a message that are kept."""

KEPT_SECONDS = 90 * 24 * 3600
"""A letter that was decided on is dropped after this long."""


class LetterState(StrEnum):
    """What became of a dead letter."""

    WAITING = "waiting"  # for an admin
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True)
class NewLetter:
    """A message to keep."""

    source: str  # the queue that it came from
    sender: str  # the broker's validated user; empty when the message has none
    why: str  # a sentence
    body: str  # the message as text


@dataclass(frozen=True)
class DeadLetter:
    """A message that is kept."""

    id: str
    at: datetime  # when it came last
    source: str
    sender: str
    why: str
    body: str
    times: int  # that it came
    state: LetterState
    decided_by: str | None
    decided_at: datetime | None


class DeadLetters:
    """Dead letters. One that comes again is the same letter, so that a flood is one line, and waits again."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._letters: Collection[Document] = database["dead_letters"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below."""
        self._letters.create_index([("state", 1), ("at", -1)])
        self._letters.create_index("decided_at", expireAfterSeconds=KEPT_SECONDS)

    def add_all(self, letters: Iterable[NewLetter]) -> None:
        """Keeps messages."""
        now = self._clock()
        upserts = [
            UpdateOne(
                {"_id": _id(letter)},
                {
                    "$set": {
                        "at": now,
                        "why": _clean(letter.why),
                        "state": LetterState.WAITING.value,
                        "decided_by": None,
                        "decided_at": None,
                    },
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

    def page(
        self, state: LetterState = LetterState.WAITING, *, skip: int = 0, limit: int = 50
    ) -> tuple[list[DeadLetter], int]:
        """Letters in ``state``, newest first, and how many there are."""
        query = {"state": state.value}
        found = self._letters.find(query).sort("at", -1).skip(skip).limit(limit)
        return [_letter(document) for document in found], self._letters.count_documents(query)

    def get(self, letter_id: str) -> DeadLetter:
        """The letter. Raises NotFound."""
        document = self._letters.find_one({"_id": letter_id})
        if document is None:
            raise NotFound(f"There is no dead letter {letter_id}.")
        return _letter(document)

    def waiting(self) -> int:
        """How many wait for a decision."""
        return self._letters.count_documents({"state": LetterState.WAITING.value})

    def decide(self, letter_id: str, state: LetterState, *, who: str) -> None:
        """Keeps what became of a letter that waits."""
        self._letters.update_one(
            {"_id": letter_id, "state": LetterState.WAITING.value},
            {"$set": {"state": state.value, "decided_by": who, "decided_at": self._clock()}},
        )


def _id(letter: NewLetter) -> str:
    told = f"{letter.source}\0{letter.sender}\0{letter.body}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _clean(text: str) -> str:
    """Without the lone surrogates that JSON can name and MongoDB can't keep."""
    return text.encode(errors="replace").decode()


def _letter(document: Document) -> DeadLetter:
    values = {**document, "id": document["_id"], "state": LetterState(document["state"])}
    del values["_id"]
    return DeadLetter(**values)
