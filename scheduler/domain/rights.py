"""Who may do what on the API: roles, rights, and the one table that joins them.

Rights on RabbitMQ stand in :mod:`scheduler.domain.broker_rights`. A right over "own" things (a client's
orders and recipes) is the same right; :func:`sees_all` tells whose things it reaches.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What an account is: a person's job, or a kind of machine."""

    ADMIN = "admin"
    OPERATOR = "operator"  # takes orders, makes recipes, ships
    TECHNICIAN = "technician"  # puts cards into slots
    CLIENT = "client"  # orders for themselves; sees only what is theirs
    CREATOR = "creator"
    WRITER = "writer"
    WAREHOUSE = "warehouse"
    MANAGER = "manager"
    MONITOR = "monitor"
    BEAT = "beat"


PEOPLE = frozenset({Role.ADMIN, Role.OPERATOR, Role.TECHNICIAN, Role.CLIENT})
MACHINES = frozenset(Role) - PEOPLE
BROKER_ROLES = frozenset({Role.CREATOR, Role.WRITER, Role.MONITOR, Role.BEAT, Role.ADMIN})
"""The accounts that may log in to RabbitMQ."""


class Right(StrEnum):
    """One thing that a route does."""

    KNOW_SELF = "know-self"
    MANAGE_USERS = "manage-users"
    READ_MEDIA = "read-media"
    MANAGE_MEDIA = "manage-media"
    READ_CATALOGUE = "read-catalogue"
    REFRESH_CATALOGUE = "refresh-catalogue"
    MANAGE_CATALOGUES = "manage-catalogues"
    READ_BASES = "read-bases"
    MANAGE_BASES = "manage-bases"
    MANAGE_WAREHOUSES = "manage-warehouses"
    FILL_SHELF = "fill-shelf"
    EDIT_RECIPES = "edit-recipes"
    PLACE_ORDERS = "place-orders"
    READ_ORDERS = "read-orders"
    CANCEL_ORDERS = "cancel-orders"
    DOWNLOAD_IMAGES = "download-images"
    RETRY_ORDERS = "retry-orders"
    SHIP_ORDERS = "ship-orders"
    HOLD_ORDERS = "hold-orders"
    PRIORITIZE_ORDERS = "prioritize-orders"
    READ_TASKS = "read-tasks"
    SEARCH_TASK_LOGS = "search-task-logs"
    CLAIM_TASKS = "claim-tasks"
    READ_WORKERS = "read-workers"
    DRAIN_WORKERS = "drain-workers"
    ENROL_WRITERS = "enrol-writers"
    READ_ALARMS = "read-alarms"
    READ_IMAGES = "read-images"
    READ_DEAD_LETTERS = "read-dead-letters"
    DECIDE_DEAD_LETTERS = "decide-dead-letters"
    READ_MAILS = "read-mails"
    DECIDE_MAILS = "decide-mails"
    READ_SCHEDULES = "read-schedules"
    SCHEDULE_ORDERS = "schedule-orders"
    MANAGE_SCHEDULES = "manage-schedules"
    CHECK_WAREHOUSE_TOKENS = "check-warehouse-tokens"


_MACHINES_OWN = frozenset({Right.CLAIM_TASKS, Right.CHECK_WAREHOUSE_TOKENS})
_SHOPPING = frozenset(
    {
        Right.KNOW_SELF,
        Right.READ_MEDIA,
        Right.READ_CATALOGUE,
        Right.READ_BASES,
        Right.EDIT_RECIPES,
        Right.PLACE_ORDERS,
        Right.READ_ORDERS,
        Right.CANCEL_ORDERS,
        Right.DOWNLOAD_IMAGES,
        Right.READ_TASKS,
    }
)

GRANTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right) - _MACHINES_OWN,
    Role.OPERATOR: _SHOPPING
    | {
        Right.REFRESH_CATALOGUE,
        Right.FILL_SHELF,
        Right.RETRY_ORDERS,
        Right.SHIP_ORDERS,
        Right.SEARCH_TASK_LOGS,
        Right.HOLD_ORDERS,
        Right.PRIORITIZE_ORDERS,
        Right.READ_WORKERS,
        Right.DRAIN_WORKERS,
        Right.READ_ALARMS,
        Right.READ_IMAGES,
        Right.READ_MAILS,
        Right.DECIDE_MAILS,
        Right.READ_SCHEDULES,
        Right.SCHEDULE_ORDERS,
    },
    Role.TECHNICIAN: frozenset(
        {
            Right.KNOW_SELF,
            Right.READ_MEDIA,
            Right.READ_ORDERS,
            Right.READ_TASKS,
            Right.SEARCH_TASK_LOGS,
            Right.READ_WORKERS,
            Right.DRAIN_WORKERS,
            Right.ENROL_WRITERS,
            Right.READ_ALARMS,
        }
    ),
    Role.CLIENT: _SHOPPING,
    Role.CREATOR: frozenset({Right.KNOW_SELF, Right.CLAIM_TASKS}),
    Role.WRITER: frozenset({Right.KNOW_SELF, Right.CLAIM_TASKS}),
    Role.WAREHOUSE: frozenset({Right.KNOW_SELF, Right.CHECK_WAREHOUSE_TOKENS}),
    Role.MANAGER: frozenset({Right.KNOW_SELF}),
    Role.MONITOR: frozenset({Right.KNOW_SELF}),
    Role.BEAT: frozenset({Right.KNOW_SELF}),
}


def may(role: Role, right: Right) -> bool:
    """Whether ``role`` has ``right``."""
    return right in GRANTS[role]


def sees_all(role: Role) -> bool:
    """Whether the role's rights reach every order and recipe of the shop, not only the account's own."""
    return role in PEOPLE - {Role.CLIENT}
