"""The line to MongoDB: connecting, transactions, and what a record looks like in a document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, InvalidName, PyMongoError, WriteError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

DATABASE = "cardshop"
SERVER_SELECTION_MILLISECONDS = 5000
"""How long a call waits for a primary before it fails."""

Document = dict[str, Any]
Session = ClientSession | None
Clock = Callable[[], datetime]
DatabaseError = PyMongoError
"""What any call on the store may raise while MongoDB is away or broken."""

_CAN_BE_REPEATED = frozenset({112, 11000})
"""Codes of a write that another one was in the way of: a conflict, two inserts of the same at once."""

T = TypeVar("T")


def utc_now() -> datetime:
    """This moment, to the millisecond that MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def connect(uri: str) -> Database[Document]:
    """The database behind ``uri``; nothing is sent before the first call. Dates come back in UTC."""
    client: MongoClient[Document] = MongoClient(
        uri, serverSelectionTimeoutMS=SERVER_SELECTION_MILLISECONDS, appname="cardshop"
    )
    return client.get_database(
        DATABASE,
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        write_concern=WriteConcern("majority", j=True),
        read_concern=ReadConcern("majority"),
    )


def in_transaction(database: Database[Document], work: Callable[[ClientSession], T]) -> T:
    """Runs ``work`` as one transaction; it is run again when another one was in the way.

    ``work`` must change nothing outside the database.
    """
    with database.client.start_session() as session:
        return session.with_transaction(
            work,
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority", j=True),
            read_preference=ReadPreference.PRIMARY,
        )


def is_away(error: Exception) -> bool:
    """Whether the same call may work later; False when MongoDB or its driver refuses what it is given."""
    if isinstance(error, BulkWriteError):
        failed = (error.details or {}).get("writeErrors", [])
        return all(write["code"] in _CAN_BE_REPEATED for write in failed)
    if isinstance(error, WriteError):
        return error.code in _CAN_BE_REPEATED
    return isinstance(error, PyMongoError) and not isinstance(error, InvalidName)


def to_document(record: Any) -> Document:
    """A record (a dataclass with ``id``) as a document; enums become their values, tuples lists."""
    document: Document = plain(record)
    document["_id"] = document.pop("id")
    return document


def plain(value: Any) -> Any:
    """A value as documents have it: records become documents, enums their values, tuples lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, str) else value


__all__ = [
    "Clock",
    "Collection",
    "Database",
    "DatabaseError",
    "Document",
    "Session",
    "connect",
    "in_transaction",
    "is_away",
    "plain",
    "to_document",
    "utc_now",
]
