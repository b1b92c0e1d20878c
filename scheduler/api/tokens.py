"""Tokens: log in, refresh, log out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from flask import request
from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Told


class Credentials(Given):
    """User name and password."""

    username: str = Field(max_length=64)
    password: str = Field(max_length=1024)


class Refresh(Given):
    """A refresh token; it is good once."""

    refresh_token: str = Field(max_length=200)


class TokenPair(Told):
    """The tokens of a session."""

    access_token: str  # for the Authorization header
    refresh_token: str  # for the next pair, within 30 days
    expires_in: int  # seconds until the access token ends
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a scheme's name


class TokenList(Resource):
    """``/v1/tokens``."""

    @operation("Log in", None, body=Credentials, answer=TokenPair)
    def post(self, body: Credentials) -> TokenPair:
        """A new session."""
        address = request.remote_addr or ""
        pair = self.services.accounts.log_in(body.username, body.password, address)
        return TokenPair(**asdict(pair))

    @operation("Log out", None, body=Refresh, status=204)
    def delete(self, body: Refresh) -> None:
        """Ends the session of the refresh token."""
        self.services.accounts.log_out(body.refresh_token)


class TokenRefreshList(Resource):
    """``/v1/tokens/refresh``."""

    @operation("Get a new pair of tokens for a refresh token", None, body=Refresh, answer=TokenPair)
    def post(self, body: Refresh) -> TokenPair:
        """The session goes on; the token that was shown is used up."""
        return TokenPair(**asdict(self.services.accounts.refresh(body.refresh_token)))
