"""Writers: which accounts may write cards."""

from __future__ import annotations

from scheduler.domain.rights import Role
from scheduler.store.store import Store


def writer_names(store: Store) -> set[str]:
    """User names of the accounts that may write; each has a queue of its own."""
    return {user.username for user in store.users.every() if user.role is Role.WRITER and not user.disabled}
