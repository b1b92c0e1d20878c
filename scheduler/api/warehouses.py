"""Warehouses: where they are; and their question, what a token is good for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import Field

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Given, Listed, Moment, Name, Told
from scheduler.api.tasks import Access
from scheduler.domain.rights import Right
from scheduler.shop.access import DOWNLOAD, NO_IMAGE, warehouse_access, warehouse_right
from scheduler.shop.accounts import Caller
from scheduler.store import warehouses as store


class GivenWarehouse(Given):
    """A warehouse's address, as workers see it."""

    name: Name
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(strict=True, ge=1, le=65535)


class Warehouse(Told):
    """A warehouse."""

    name: str
    host: str
    port: int


class ShownToken(Given):
    """A token that the warehouse was shown."""

    token: str = Field(max_length=4096)


class TokenRight(Told):
    """What the token is good for."""

    allowed: Literal[True] = True
    operation: str  # "upload", "download" or "shelve"
    digest: str  # of the one image; of none where it is for the shelf
    expires_at: Moment


class WarehouseList(Resource):
    """``/v1/warehouses``."""

    @operation("List the warehouses", Right.MANAGE_WAREHOUSES, answer=Listed[Warehouse])
    def get(self) -> Listed[Warehouse]:
        """Every warehouse, by name."""
        warehouses = [Warehouse(**asdict(each)) for each in self.services.store.warehouses.every()]
        return Listed[Warehouse](items=warehouses, total=len(warehouses))

    @operation(
        "Add a warehouse, or change its address",
        Right.MANAGE_WAREHOUSES,
        body=GivenWarehouse,
        answer=Warehouse,
        status=201,
    )
    def post(self, body: GivenWarehouse) -> Warehouse:
        """The warehouse."""
        warehouse = store.Warehouse(body.name, body.host, body.port)
        self.services.store.warehouses.put(warehouse)
        return Warehouse(**asdict(warehouse))


class TrialTokens(Resource):
    """``/v1/trial-tokens``."""

    @operation("Get a token to try the warehouse's door", Right.CLAIM_TASKS, answer=Access, status=201)
    def post(self, caller: Caller) -> Access:
        """For a worker that wants to know whether it reaches the warehouse before there is work."""
        services = self.services
        access = warehouse_access(
            services.store, services.signing, username=caller.username, operation=DOWNLOAD, digest=NO_IMAGE
        )
        return Access(**asdict(access))


class WarehouseTokens(Resource):
    """``/auth/warehouse``."""

    @operation("Tell a token's right", Right.CHECK_WAREHOUSE_TOKENS, body=ShownToken, answer=TokenRight)
    def post(self, body: ShownToken) -> TokenRight:
        """One operation on one image, or on the shelf; a token that gives none is a 403."""
        right = warehouse_right(self.services.signing, self.services.accounts, body.token)
        return TokenRight(operation=right.operation, digest=right.digest, expires_at=right.expires_at)
