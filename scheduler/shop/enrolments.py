"""Enrolling a host of writers: a code is given out, and exchanged once for the writers' accounts."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from cardshop.contract.errors import NotAuthenticated
from scheduler.domain import enrolments as rules
from scheduler.domain.enrolments import Enrolment
from scheduler.domain.rights import Role
from scheduler.shop.accounts import Accounts
from scheduler.shop.passwords import hash_password
from scheduler.store.store import Store


def give_code(store: Store, host: str, writers: int, *, who: str) -> tuple[str, Enrolment]:
    """A new code and what it is good for. The code can't be told again. Raises InvalidInput."""
    enrolment = rules.begin(host, writers, who=who, now=store.clock())
    code = rules.new_code(secrets.choice)
    store.enrolments.add(_hashed(code), enrolment)
    return code, enrolment


def enrol(store: Store, accounts: Accounts, code: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """Exchanges a code for the accounts of a host's writers, all or none.

    Args:
        store: of the shop.
        accounts: ends the sessions of an account that gets a new password.
        code: as a person typed it.
        passwords: by the slots' names; made by the host.

    Returns:
        The account of each slot's writer.

    Raises:
        NotAuthenticated: the code is not good.
        InvalidInput, Conflict: it is, and stays good, and these accounts can't be had with it.
    """
    key = _hashed(code)
    slots = list(passwords)
    found = rules.accounts_for(rules.good(store.enrolments.find(key), store.clock()), slots)
    # Slow on purpose, and therefore after the code was looked at and outside the transaction.
    hashes = {slot: hash_password(password) for slot, password in passwords.items()}

    def work(session: Any) -> list[str]:
        enrolment = rules.good(store.enrolments.find(key, session), store.clock())
        taken = []
        for slot, name in found.items():
            user = store.users.find(name, session)
            rules.check_may_take(
                name,
                exists=user is not None,
                made_for_host=store.enrolments.made(enrolment.host, name, session)
                and user is not None
                and user.role is Role.WRITER,
                locked=user is not None and user.disabled,
            )
            if user is None:
                store.users.add(name, Role.WRITER, hashes[slot], session=session)
            else:
                store.users.change(name, {"password_hash": hashes[slot]}, session)
                taken.append(name)
        if not store.enrolments.use(key, list(found.values()), session):
            raise NotAuthenticated("This code was used a moment ago.")
        return taken

    for name in store.transaction(work):
        accounts.end_sessions(name)
    return found


def _hashed(code: str) -> str:
    return hashlib.sha256(rules.canonical(code).encode()).hexdigest()
