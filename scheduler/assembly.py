"""Builds the scheduler's parts from its settings; waits for the database."""

from __future__ import annotations

import structlog
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cardshop.contract.errors import Unavailable
from scheduler.api.services import Services
from scheduler.catalogue.web import Web
from scheduler.domain.media import COMMON_MEDIA
from scheduler.seal import Seal
from scheduler.settings import ShopSettings
from scheduler.shop import image_signatures
from scheduler.shop.accounts import Accounts
from scheduler.shop.signing import Signing
from scheduler.shop.vocabulary import vocabulary
from scheduler.store.database import connect
from scheduler.store.store import Store

log = structlog.get_logger(__name__)

DATABASE_WAIT_SECONDS = 120
PAUSE_SECONDS = 1


def assemble(settings: ShopSettings) -> Services:
    """The parts behind the API; nothing is sent to the database yet."""
    return services_over(Store(connect(settings.mongo_uri)), settings)


def prepare(settings: ShopSettings) -> None:
    """Waits for the database; makes the indexes, the first signing keys and the common media where missing.

    Its connection is closed again, so that processes can be forked after it.

    Raises:
        Unavailable: no primary answered within two minutes.
    """
    database = connect(settings.mongo_uri)
    try:
        services = services_over(Store(database), settings)
        wait_for_database(services.store)
        services.store.prepare()
        services.signing.ensure_key()
        image_signatures.ensure_key(services.store, services.seal)
        for medium in COMMON_MEDIA:
            if services.store.media.find(medium.name) is None:
                services.store.media.add(medium)
    finally:
        database.client.close()


def wait_for_database(store: Store) -> None:
    """Returns when a primary answers. Raises Unavailable after two minutes."""
    log.info("waiting for the database")
    attempts = Retrying(
        retry=retry_if_result(lambda answers: not answers),
        wait=wait_fixed(PAUSE_SECONDS),
        stop=stop_after_delay(DATABASE_WAIT_SECONDS),
        before_sleep=lambda _: log.warning("the database does not answer yet; asking again"),
        retry_error_callback=lambda _: False,
    )
    if not attempts(store.answers):
        raise Unavailable(
            f"No MongoDB primary answered within {DATABASE_WAIT_SECONDS} s.",
            hint="Is mongod running, and its replica set initiated? See CARDSHOP_MONGO_URI.",
        )
    log.info("the database answers")


def services_over(store: Store, settings: ShopSettings) -> Services:
    """The parts behind the API over a store."""
    seal = Seal(settings.secret_key)
    signing = Signing(store.keys, seal, store.clock)
    accounts = Accounts(store.users, store.tokens, signing, store.clock)
    return Services(
        store=store,
        seal=seal,
        signing=signing,
        accounts=accounts,
        web=Web(frozenset(settings.private_mirrors)),
        vocabulary=vocabulary(),
        pages_url=settings.pages_url,
    )
