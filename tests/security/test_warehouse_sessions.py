"""How many sessions a stranger may hold at the warehouse."""

from __future__ import annotations

from contextlib import suppress
from ftplib import FTP, error_temp
from pathlib import Path

import pytest

from cardshop.stack.waiting import wait_for
from tests.real_services import PATIENCE_SECONDS
from tests.warehouses import RealWarehouse, real_warehouse
from warehouse.app import MOST_SESSIONS_PER_ADDRESS


def a_session(warehouse: RealWarehouse) -> FTP:
    ftp = FTP(timeout=PATIENCE_SECONDS)  # noqa: S321 - it says nothing
    ftp.connect("127.0.0.1", warehouse.port)
    return ftp


def test_sessions_from_one_address_are_limited(tmp_path: Path) -> None:
    sessions: list[FTP] = []

    with real_warehouse(tmp_path) as warehouse:

        def is_full() -> bool:
            # The look whether it listens may be counted until its thread has seen the end.
            with suppress(error_temp):
                sessions.append(a_session(warehouse))
            return len(sessions) == MOST_SESSIONS_PER_ADDRESS

        wait_for("the last session", is_full, PATIENCE_SECONDS)
        with pytest.raises(error_temp, match="421"):
            a_session(warehouse)

        for session in sessions:
            session.close()
