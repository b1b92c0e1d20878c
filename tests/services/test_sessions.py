"""Sessions end when they must, also when that and their going on happen at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from cardshop.contract.errors import NotAuthenticated
from scheduler.shop.accounts import Accounts, TokenPair
from tests.api import PASSWORD, Api, new_api
from tests.real_services import RealMongod


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


@pytest.fixture
def accounts(api: Api) -> Accounts:
    return api.services.accounts


def refreshed(accounts: Accounts, pair: TokenPair) -> TokenPair | None:
    try:
        return accounts.refresh(pair.refresh_token)
    except NotAuthenticated:
        return None


def lives(accounts: Accounts, pair: TokenPair) -> bool:
    try:
        accounts.authenticate(pair.access_token)
    except NotAuthenticated:
        return refreshed(accounts, pair) is not None
    return True


def test_a_refresh_token_gives_one_new_pair_and_the_session_goes_on(accounts: Accounts) -> None:
    first = accounts.log_in("operator", PASSWORD, "desk")

    second = accounts.refresh(first.refresh_token)

    assert accounts.authenticate(second.access_token).username == "operator"
    assert accounts.authenticate(first.access_token).username == "operator"


def test_a_refresh_token_that_is_used_twice_ends_its_session_and_no_other(accounts: Accounts) -> None:
    first, other = (accounts.log_in("operator", PASSWORD, "desk") for _ in range(2))
    second = accounts.refresh(first.refresh_token)

    assert refreshed(accounts, first) is None

    assert not lives(accounts, second)
    assert lives(accounts, other)


def test_of_a_refresh_token_that_two_use_at_the_same_moment_nothing_stays(accounts: Accounts) -> None:
    for _ in range(10):
        stolen = accounts.log_in("operator", PASSWORD, "desk")

        with ThreadPoolExecutor(4) as pool:
            pairs = [
                pair for pair in pool.map(lambda _, pair=stolen: refreshed(accounts, pair), range(4)) if pair
            ]

        assert len(pairs) <= 1
        assert not any(lives(accounts, pair) for pair in pairs)


def test_a_login_with_a_password_that_is_changed_meanwhile_opens_no_session(accounts: Accounts) -> None:
    def log_in(_: int) -> TokenPair | None:
        try:
            return accounts.log_in("operator", PASSWORD, "desk")
        except NotAuthenticated:
            return None

    with ThreadPoolExecutor(4) as pool:
        logins = pool.map(log_in, range(4))
        accounts.set_password("operator", "another password of tests")
        pairs = [pair for pair in logins if pair]

    assert not any(lives(accounts, pair) for pair in pairs)
