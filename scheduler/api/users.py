"""Users: accounts of people and machines."""

from __future__ import annotations

from pydantic import Field

from cardshop.contract.errors import Conflict
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Moment, Told, Username
from scheduler.domain.rights import Right, Role
from scheduler.shop.accounts import Caller
from scheduler.shop.passwords import hash_password
from scheduler.store import users as store

Password = Field(min_length=8, max_length=72)
Email = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
Language = Field(default=None, pattern=r"^[a-z]{2,3}$")


class NewUser(Given):
    """An account to make."""

    username: Username
    password: str = Password
    role: Role
    email: str | None = Email
    language: str | None = Language


class UserChange(Given):
    """What to change; what is absent stays."""

    password: str | None = Field(default=None, min_length=8, max_length=72)
    role: Role | None = None
    email: str | None = Email
    language: str | None = Language
    disabled: bool | None = None


class User(Told):
    """An account."""

    username: str
    role: Role
    email: str | None
    language: str
    disabled: bool
    created_at: Moment

    @classmethod
    def of(cls, user: store.User) -> User:
        """The account without what is secret."""
        return cls(
            username=user.username,
            role=user.role,
            email=user.email,
            language=user.language,
            disabled=user.disabled,
            created_at=user.created_at,
        )


class UserList(Resource):
    """``/v1/users``."""

    @operation("List the accounts", Right.MANAGE_USERS, answer=Listed[User])
    def get(self) -> Listed[User]:
        """Every account, by name."""
        users = [User.of(user) for user in self.services.store.users.every()]
        return Listed[User](items=users, total=len(users))

    @operation("Make an account", Right.MANAGE_USERS, body=NewUser, answer=User, status=201)
    def post(self, body: NewUser) -> User:
        """A new account."""
        added = self.services.store.users.add(
            body.username,
            body.role,
            hash_password(body.password),
            email=body.email,
            language=body.language or "en",
        )
        return User.of(added)


class UserItem(Resource):
    """``/v1/users/{username}``."""

    @operation("Show an account", Right.MANAGE_USERS, answer=User)
    def get(self, username: str) -> User:
        """One account."""
        return User.of(self.services.store.users.get(username))

    @operation("Change an account", Right.MANAGE_USERS, body=UserChange, answer=User)
    def patch(self, caller: Caller, username: str, body: UserChange) -> User:
        """A changed password or role, or a lock, ends the account's sessions."""
        changes = body.model_dump(exclude_unset=True, exclude={"password"}, exclude_none=True)
        if username == caller.username and (body.disabled or body.role not in (None, caller.role)):
            raise _own_account()
        accounts = self.services.accounts
        if body.password is not None:
            accounts.set_password(username, body.password)
        if changes:
            self.services.store.users.change(username, changes)
        if body.disabled or body.role is not None:
            accounts.end_sessions(username)
        return User.of(self.services.store.users.get(username))

    @operation("Remove an account", Right.MANAGE_USERS, status=204)
    def delete(self, caller: Caller, username: str) -> None:
        """Removes the account; its orders stay."""
        if username == caller.username:
            raise _own_account()
        self.services.accounts.remove(username)


class Me(Resource):
    """``/v1/me``."""

    @operation("Show the own account", Right.KNOW_SELF, answer=User)
    def get(self, caller: Caller) -> User:
        """The caller's account."""
        return User.of(self.services.store.users.get(caller.username))


def _own_account() -> Conflict:
    return Conflict("An admin can't lock, demote or remove the own account.", hint="Ask another admin.")
