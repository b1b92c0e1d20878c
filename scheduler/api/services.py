"""What the routes work with, put together once by :mod:`scheduler.app`."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.catalogue.web import Web
from scheduler.domain.recipes import Vocabulary
from scheduler.seal import Seal
from scheduler.shop.accounts import Accounts
from scheduler.shop.signing import Signing
from scheduler.store.store import Store


@dataclass(frozen=True)
class Services:
    """The parts behind the API."""

    store: Store
    seal: Seal
    signing: Signing
    accounts: Accounts
    web: Web
    vocabulary: Vocabulary
    pages_url: str  # address of the manager's pages; empty: mails have no links
