"""Accounts: log in, stay logged in, be slowed down, be ended."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

import structlog

from cardshop.contract.errors import NotAuthenticated, TooManyRequests
from scheduler.domain.rights import BROKER_ROLES, Right, Role, may
from scheduler.shop.passwords import PasswordCheck, hash_password
from scheduler.shop.signing import ACCESS_LIFE, Access, Signing
from scheduler.store.database import Clock
from scheduler.store.tokens import Redeemed, Tokens
from scheduler.store.users import User, Users

log = structlog.get_logger(__name__)

REFRESH_LIFE = timedelta(days=30)
FREE_FAILURES = 5
"""Failed logins of one user from one address that cost nothing; each further one doubles the wait."""
LONGEST_WAIT = timedelta(minutes=5)
FAILURES_COUNT_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class TokenPair:
    """What a login gives."""

    access_token: str
    refresh_token: str
    expires_in: int  # seconds, of the access token


@dataclass(frozen=True)
class Caller:
    """Who asks, once it is proven."""

    username: str
    role: Role


class Accounts:
    """The doors of the shop."""

    def __init__(self, users: Users, tokens: Tokens, signing: Signing, clock: Clock) -> None:
        self._users = users
        self._tokens = tokens
        self._signing = signing
        self._clock = clock
        self._passwords = PasswordCheck()

    def log_in(self, username: str, password: str, address: str) -> TokenPair:
        """A new pair of tokens.

        Raises:
            NotAuthenticated: unknown user, wrong password, disabled account: one answer for all three.
            TooManyRequests: too many failures before; the password was not looked at.
        """
        user = self._proven(username, password, address)
        family, refresh_token = secrets.token_hex(16), _new_refresh_token()
        self._tokens.add(
            _hashed(refresh_token),
            family=family,
            username=username,
            expires_at=self._clock() + REFRESH_LIFE,
        )
        # To prove a password takes long: one that was changed meanwhile must not open a session that stays.
        known = self._users.find(username)
        if known is None or known.disabled or known.password_hash != user.password_hash:
            self._tokens.end_family(family)
            raise NotAuthenticated("The user name or the password is wrong.")
        return self._pair(username, family, refresh_token)

    def refresh(self, refresh_token: str) -> TokenPair:
        """A new pair for a refresh token, which is used up.

        Raises:
            NotAuthenticated: unknown, expired, ended; or used before, which ends its whole family.
        """
        successor = _new_refresh_token()
        outcome, family, username = self._tokens.redeem(
            _hashed(refresh_token), successor=_hashed(successor), expires_at=self._clock() + REFRESH_LIFE
        )
        if outcome is Redeemed.REUSED:
            log.warning("a refresh token was used twice; its family has ended", user=username)
        user = self._users.find(username) if outcome is Redeemed.GOOD else None
        if user is None or user.disabled:
            raise NotAuthenticated("The refresh token is not valid.", hint="Log in again.")
        return self._pair(username, family, successor)

    def log_out(self, refresh_token: str) -> None:
        """Ends the token's family, access tokens included."""
        self._tokens.end_token(_hashed(refresh_token))

    def authenticate(self, access_token: str) -> Caller:
        """Who shows this access token. Raises NotAuthenticated."""
        access = self._signing.read_access_token(access_token)
        user = self._users.find(access.username)
        if user is None or user.disabled or not self._tokens.is_live(access.session):
            raise NotAuthenticated("The session has ended.", hint="Log in again.")
        return Caller(user.username, user.role)

    def may_connect_to_broker(self, username: str, password: str) -> bool:
        """Whether RabbitMQ lets this account in. Raises TooManyRequests."""
        try:
            user = self._proven(username, password, "broker")
        except NotAuthenticated:
            return False
        return user.role in BROKER_ROLES

    def broker_role(self, username: str) -> Role | None:
        """The role of an account that may be connected to RabbitMQ now."""
        user = self._users.find(username)
        return None if user is None or user.disabled or user.role not in BROKER_ROLES else user.role

    def is_enabled(self, username: str) -> bool:
        """Whether there is such an account and it is not disabled."""
        user = self._users.find(username)
        return user is not None and not user.disabled

    def may(self, username: str, right: Right) -> bool:
        """Whether there is such an account with this right."""
        user = self._users.find(username)
        return user is not None and may(user.role, right)

    def set_password(self, username: str, password: str) -> None:
        """Changes the password and ends all of the user's sessions. Raises InvalidInput, NotFound."""
        self._users.change(username, {"password_hash": hash_password(password)})
        self._tokens.end_all_of(username)

    def end_sessions(self, username: str) -> None:
        """Ends all of the user's sessions."""
        self._tokens.end_all_of(username)

    def remove(self, username: str) -> None:
        """Removes the account and ends its sessions. Raises NotFound."""
        self._users.remove(username)
        self._tokens.end_all_of(username)

    def has_password(self, user: User, password: str) -> bool:
        """Whether this is the user's password."""
        return self._passwords.is_right(password, user.password_hash)

    def _proven(self, username: str, password: str, address: str) -> User:
        self._check_pace(username, address)
        user = self._users.find(username)
        if user is None:
            self._passwords.waste(password)
        elif self._passwords.is_right(password, user.password_hash) and not user.disabled:
            self._users.forgive_failed_logins(username, address)
            return user
        self._users.record_failed_login(username, address)
        log.warning("login failed", user=username, address=address)
        raise NotAuthenticated("The user name or the password is wrong.")

    def _check_pace(self, username: str, address: str) -> None:
        now = self._clock()
        failures = self._users.failed_logins(username, address, now - FAILURES_COUNT_FOR)
        if len(failures) < FREE_FAILURES:
            return
        wait = min(timedelta(seconds=2 ** (len(failures) - FREE_FAILURES)), LONGEST_WAIT)
        left = failures[-1] + wait - now
        if left > timedelta(0):
            seconds = int(left.total_seconds()) + 1
            raise TooManyRequests("Too many failed logins.", hint=f"Try again in {seconds} s.")

    def _pair(self, username: str, family: str, refresh_token: str) -> TokenPair:
        access_token = self._signing.access_token(Access(username, family))
        return TokenPair(access_token, refresh_token, int(ACCESS_LIFE.total_seconds()))


def _new_refresh_token() -> str:
    return secrets.token_urlsafe(32)


def _hashed(refresh_token: str) -> str:
    # 256 random bits: a bare hash can't be guessed backwards.
    return hashlib.sha256(refresh_token.encode()).hexdigest()
