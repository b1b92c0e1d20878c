"""Enrolments: a one-time code for a host of writers, and its exchange for their accounts."""

from __future__ import annotations

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Moment, Paged, Told
from scheduler.domain import enrolments as rules
from scheduler.domain.rights import Right
from scheduler.shop.accounts import Caller
from scheduler.shop.enrolments import enrol, give_code


class NewEnrolment(Given):
    """A host to enrol."""

    host: str = Field(max_length=64, examples=["rack-1"])
    writers: int = Field(strict=True, ge=1, le=rules.MOST_WRITERS)


class Enrolment(Told):
    """A code that was given out, without the code."""

    host: str
    writers: int  # at most
    made_by: str
    made_at: Moment
    expires_at: Moment
    used_at: Moment | None
    usernames: list[str]  # of the accounts that were made with it
    state: str  # "open", "used" or "expired"


class EnrolmentCode(Told):
    """A new code. It is told this once."""

    code: str
    host: str
    writers: int
    expires_at: Moment


class NewWriter(Given):
    """A writer of the host, with the password that the host made for it."""

    slot: str = Field(max_length=64)
    password: str = Field(min_length=32, max_length=72)


class Redemption(Given):
    """A code and the writers to enrol."""

    code: str = Field(max_length=100)
    writers: list[NewWriter] = Field(min_length=1, max_length=rules.MOST_WRITERS)


class Account(Told):
    """The account of a slot's writer."""

    slot: str
    username: str


class Redeemed(Told):
    """The accounts that the host's writers have now."""

    accounts: list[Account]


class EnrolmentList(Resource):
    """``/v1/enrolments``."""

    @operation("List the enrolments", Right.ENROL_WRITERS, query=Paged, answer=Listed[Enrolment])
    def get(self, query: Paged) -> Listed[Enrolment]:
        """Newest first; without the codes."""
        store = self.services.store
        found, total = store.enrolments.page(skip=query.skip, limit=query.per_page)
        now = store.clock()
        items = [
            Enrolment(
                host=each.host,
                writers=each.writers,
                made_by=each.made_by,
                made_at=each.made_at,
                expires_at=each.expires_at,
                used_at=each.used_at,
                usernames=list(each.usernames),
                state=each.state(now),
            )
            for each in found
        ]
        return Listed[Enrolment](items=items, total=total)

    @operation(
        "Get a code for a host", Right.ENROL_WRITERS, body=NewEnrolment, answer=EnrolmentCode, status=201
    )
    def post(self, caller: Caller, body: NewEnrolment) -> EnrolmentCode:
        """A code, good once and for an hour."""
        code, made = give_code(self.services.store, body.host, body.writers, who=caller.username)
        return EnrolmentCode(code=code, host=made.host, writers=made.writers, expires_at=made.expires_at)


class EnrolmentRedemptions(Resource):
    """``/v1/enrolments/redemptions``."""

    @operation("Exchange a code for writers' accounts", None, body=Redemption, answer=Redeemed, status=201)
    def post(self, body: Redemption) -> Redeemed:
        """All accounts or none. The host sends passwords of its own making; none is ever told back."""
        passwords = {writer.slot: writer.password for writer in body.writers}
        if len(passwords) < len(body.writers):
            raise rules.same_name()
        found = enrol(self.services.store, self.services.accounts, body.code, passwords)
        return Redeemed(accounts=[Account(slot=slot, username=name) for slot, name in found.items()])
