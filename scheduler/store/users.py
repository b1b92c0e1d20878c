"""Accounts of people and machines, and the record of failed logins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from cardshop.contract.errors import Conflict, NotFound
from scheduler.domain.rights import Role
from scheduler.store.database import Clock, Database, Document, Session

FAILED_LOGIN_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class User:
    """One account."""

    username: str
    role: Role
    password_hash: str  # bcrypt
    email: str | None
    language: str  # ISO 639, for mails to them
    disabled: bool
    created_at: datetime


class Users:
    """The collections ``users`` and ``failed_logins``."""

    def __init__(self, database: Database[Document], clock: Clock) -> None:
        self._users = database["users"]
        self._failed_logins = database["failed_logins"]
        self._clock = clock

    def prepare(self) -> None:
        """Indexes for the look-ups below; failed logins go after 30 days."""
        self._users.create_index([("role", ASCENDING), ("disabled", ASCENDING)])
        self._failed_logins.create_index([("username", ASCENDING), ("address", ASCENDING), ("at", ASCENDING)])
        self._failed_logins.create_index("at", expireAfterSeconds=int(FAILED_LOGIN_KEPT.total_seconds()))

    def add(
        self,
        username: str,
        role: Role,
        password_hash: str,
        *,
        email: str | None = None,
        language: str = "en",
        session: Session = None,
    ) -> User:
        """Makes an account. Raises Conflict when the name is taken."""
        user = User(username, role, password_hash, email, language, disabled=False, created_at=self._clock())
        document = asdict(user)
        document["_id"] = document.pop("username")
        try:
            self._users.insert_one(document, session=session)
        except DuplicateKeyError:
            raise Conflict(f"There is a user {username} already.", field="username") from None
        return user

    def find(self, username: str, session: Session = None) -> User | None:
        """The account of that name."""
        document = self._users.find_one({"_id": username}, session=session)
        return _user(document) if document else None

    def get(self, username: str, session: Session = None) -> User:
        """As :meth:`find`. Raises NotFound."""
        user = self.find(username, session)
        if user is None:
            raise NotFound(f"There is no user {username}.")
        return user

    def among(self, usernames: Iterable[str]) -> dict[str, User]:
        """Those of the accounts that there are, by name."""
        found = self._users.find({"_id": {"$in": list(usernames)}})
        return {document["_id"]: _user(document) for document in found}

    def every(self) -> list[User]:
        """Every account, by name."""
        return [_user(document) for document in self._users.find().sort("_id", ASCENDING)]

    def enabled_names(self, roles: Iterable[Role], session: Session = None) -> dict[str, Role]:
        """Names of the accounts with one of the roles that aren't disabled, each with its role."""
        query = {"role": {"$in": [role.value for role in roles]}, "disabled": False}
        found = self._users.find(query, {"role": 1}, session=session)
        return {document["_id"]: Role(document["role"]) for document in found}

    def with_role(self, role: Role) -> list[User]:
        """Every account of a role, by name."""
        return [_user(document) for document in self._users.find({"role": role.value}).sort("_id", ASCENDING)]

    def change(self, username: str, changes: Mapping[str, Any], session: Session = None) -> User:
        """Sets fields of an account. Raises NotFound."""
        self._users.update_one({"_id": username}, {"$set": dict(changes)}, session=session)
        return self.get(username, session)

    def remove(self, username: str) -> None:
        """Ends an account. Raises NotFound."""
        if not self._users.delete_one({"_id": username}).deleted_count:
            raise NotFound(f"There is no user {username}.")

    def record_failed_login(self, username: str, address: str) -> None:
        """Keeps that a login failed."""
        self._failed_logins.insert_one(
            {"username": username, "address": address, "at": self._clock(), "forgiven": False}
        )

    def forgive_failed_logins(self, username: str, address: str) -> None:
        """After a good login: the failures before it slow nobody down; they stay on record."""
        self._failed_logins.update_many(
            {"username": username, "address": address, "forgiven": False}, {"$set": {"forgiven": True}}
        )

    def failed_logins(self, username: str, address: str, since: datetime) -> list[datetime]:
        """Times of the failures that count, oldest first."""
        found = self._failed_logins.find(
            {"username": username, "address": address, "at": {"$gte": since}, "forgiven": False}
        )
        return [document["at"] for document in found.sort("at", ASCENDING)]


def _user(document: Mapping[str, Any]) -> User:
    return User(
        username=document["_id"],
        role=Role(document["role"]),
        password_hash=document["password_hash"],
        email=document["email"],
        language=document["language"],
        disabled=document["disabled"],
        created_at=document["created_at"],
    )
