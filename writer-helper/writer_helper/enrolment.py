"""Exchanges a one-time code for the accounts of this host's writers; nobody types or sees a password."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cardshop.contract.errors import InvalidInput
from cardshop.scheduler_client import SchedulerClient
from cardshop.writer_host import WriterHost
from writer_helper.configuration import Configuration


def without_account(host: WriterHost) -> list[str]:
    """Names of the slots whose writer has no account yet."""
    return [slot.name for slot in host.slots if not slot.username]


def enrol(configuration: Configuration, code: str, slot_names: Sequence[str]) -> dict[str, str]:
    """Makes the writers' passwords, has the scheduler make their accounts, and keeps both.

    A code that was used and whose passwords were lost on the way is no loss: with a new code the host takes
    its accounts again.

    Returns:
        The account of each slot's writer.

    Raises:
        InvalidInput: there is no slot to enrol.
        NotAuthenticated: the code is not good.
        Conflict: an account is another host's, or locked.
        Unavailable: the scheduler doesn't answer.
    """
    if not slot_names:
        raise InvalidInput(
            "There is no slot without an account.",
            hint="Name the slots first: writer-helper name; or enrol all anew: writer-helper enrol --again",
            field="slots",
        )
    host = configuration.read()
    passwords = {host.slot(name).name: secrets.token_urlsafe(32) for name in slot_names}
    client = SchedulerClient(host.scheduler_url, host.ca_file, "", "", proxy=host.proxy)
    writers = [{"slot": slot, "password": password} for slot, password in passwords.items()]
    answer = client.post_open("/v1/enrolments/redemptions", {"code": code, "writers": writers})
    usernames = {str(account["slot"]): str(account["username"]) for account in answer["accounts"]}
    configuration.put_accounts({slot: (usernames[slot], passwords[slot]) for slot in passwords})
    return usernames
