"""The shelf's files, listed and deleted at the warehouse with a token that the user may have.

The browser speaks no FTPS, and doesn't know our private CA.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cardshop.transfer.shelving import ShelvedFile
from cardshop.warehouse_client import Warehouse

SECONDS = 20.0
"""That the warehouse may stay silent; a page waits no longer."""


def shelved_files(token: dict[str, Any], ca_file: Path) -> list[ShelvedFile]:
    """What is on the shelf, by name.

    Args:
        token: the API's answer to a request for a token of the shelf.
        ca_file: PEM of the private CA.

    Raises:
        Conflict: the shop has no shelf.
        Unavailable: the warehouse does not answer.
    """
    with _warehouse(token, ca_file) as warehouse:
        return warehouse.shelf()


def delete_shelved(token: dict[str, Any], ca_file: Path, name: str) -> None:
    """Deletes a file of the shelf. Raises NotFound; others as :func:`shelved_files`."""
    with _warehouse(token, ca_file) as warehouse:
        warehouse.take_off(name)


def _warehouse(token: dict[str, Any], ca_file: Path) -> Warehouse:
    return Warehouse(
        token["host"], token["port"], ca_file, token["token"], timeout=SECONDS, give_up_after=0.0
    )
