"""Writers: which accounts may write cards, and how much each has to do."""

from __future__ import annotations

from typing import Any

from scheduler.domain.dispatching import WriterLoad
from scheduler.domain.rights import Role
from scheduler.store.store import Store


def writer_names(store: Store) -> set[str]:
    """User names of the accounts that may write; each has a queue of its own."""
    return {user.username for user in store.users.every() if user.role is Role.WRITER and not user.disabled}


def loads(store: Store, session: Any = None) -> list[WriterLoad]:
    """The writers that are online now, with the write tasks that they have."""
    online = {worker.username for worker in store.workers.every(session) if worker.state == "online"}
    tasks = store.tasks.loads(session)
    return [WriterLoad(name, tasks.get(name, 0)) for name in sorted(writer_names(store) & online)]
