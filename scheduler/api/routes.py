"""Every route of the API, in one list."""

from __future__ import annotations

from typing import Any

from scheduler.api import (
    alarms,
    bases,
    branding,
    catalogues,
    control,
    dead_letters,
    enrolments,
    health,
    images,
    mails,
    maintenance,
    media,
    monitors,
    offspot,
    openapi,
    orders,
    passports,
    rabbitmq,
    recipes,
    removals,
    schedules,
    tasks,
    tokens,
    users,
    warehouses,
    workers,
)
from scheduler.api.operations import Resource, operation


class OpenApi(Resource):
    """``/v1/openapi.json``."""

    @operation("Describe the API", None)
    def get(self) -> dict[str, Any]:
        """This document."""
        return openapi.document(ROUTES)


ROUTES: list[tuple[type[Resource], str]] = [
    (health.HealthItem, "/v1/health"),
    (OpenApi, "/v1/openapi.json"),
    (tokens.TokenList, "/v1/tokens"),
    (tokens.TokenRefreshList, "/v1/tokens/refresh"),
    (users.Me, "/v1/me"),
    (users.UserList, "/v1/users"),
    (users.UserItem, "/v1/users/<username>"),
    (media.MediumList, "/v1/media"),
    (catalogues.CatalogueList, "/v1/catalogues"),
    (catalogues.CatalogueRefreshes, "/v1/catalogues/<name>/refreshes"),
    (catalogues.EntryList, "/v1/catalogue/entries"),
    (bases.BaseList, "/v1/bases"),
    (warehouses.WarehouseList, "/v1/warehouses"),
    (warehouses.TrialTokens, "/v1/trial-tokens"),
    (branding.PictureItem, "/v1/pictures/<sha256>"),
    (recipes.RecipeList, "/v1/recipes"),
    (recipes.FitList, "/v1/recipes/fit"),
    (offspot.OffspotRecipeList, "/v1/recipes/offspot"),
    (recipes.RecipeItem, "/v1/recipes/<recipe_id>"),
    (offspot.OffspotRecipeItem, "/v1/recipes/<recipe_id>/offspot"),
    (recipes.RecipeFit, "/v1/recipes/<recipe_id>/fit"),
    (orders.OrderList, "/v1/orders"),
    (orders.OrderItem, "/v1/orders/<order_id>"),
    (orders.OrderCancel, "/v1/orders/<order_id>/cancel"),
    (orders.OrderRetry, "/v1/orders/<order_id>/retry"),
    (control.OrderRequeue, "/v1/orders/<order_id>/requeue"),
    (control.OrderHold, "/v1/orders/<order_id>/hold"),
    (control.OrderRelease, "/v1/orders/<order_id>/release"),
    (control.OrderPriority, "/v1/orders/<order_id>/priority"),
    (orders.OrderShipment, "/v1/orders/<order_id>/shipment"),
    (orders.OrderDownloadTokens, "/v1/orders/<order_id>/download-tokens"),
    (passports.OrderPassportList, "/v1/orders/<order_id>/passports"),
    (tasks.TaskItem, "/v1/tasks/<task_id>"),
    (tasks.TaskLog, "/v1/tasks/<task_id>/log"),
    (tasks.TaskLogSearch, "/v1/task-logs"),
    (tasks.TaskClaims, "/v1/tasks/<task_id>/claims"),
    (workers.WorkerList, "/v1/workers"),
    (maintenance.WorkerDrain, "/v1/workers/<username>/drain"),
    (maintenance.WorkerResume, "/v1/workers/<username>/resume"),
    (maintenance.WorkerDrains, "/v1/workers/<username>/drains"),
    (monitors.MonitorList, "/v1/monitors"),
    (enrolments.EnrolmentList, "/v1/enrolments"),
    (enrolments.EnrolmentRedemptions, "/v1/enrolments/redemptions"),
    (alarms.AlarmList, "/v1/alarms"),
    (mails.MailList, "/v1/mails"),
    (mails.MailItem, "/v1/mails/<mail_id>"),
    (mails.MailResend, "/v1/mails/<mail_id>/resend"),
    (mails.MailDismissal, "/v1/mails/<mail_id>/dismissal"),
    (images.ImageList, "/v1/images"),
    (images.ImageDownloadTokens, "/v1/images/<digest>/download-tokens"),
    (images.ImageSignatureItem, "/v1/images/<digest>/signature"),
    (images.ImageKeyList, "/v1/image-keys"),
    (dead_letters.DeadLetterList, "/v1/dead-letters"),
    (dead_letters.DeadLetterReplay, "/v1/dead-letters/<letter_id>/replay"),
    (dead_letters.DeadLetterDiscard, "/v1/dead-letters/<letter_id>/discard"),
    (schedules.ScheduleList, "/v1/schedules"),
    (schedules.ScheduleItem, "/v1/schedules/<schedule_id>"),
    (schedules.ScheduleRuns, "/v1/schedules/<schedule_id>/runs"),
    (rabbitmq.BrokerUser, "/auth/rabbitmq/user"),
    (rabbitmq.BrokerVhost, "/auth/rabbitmq/vhost"),
    (rabbitmq.BrokerResource, "/auth/rabbitmq/resource"),
    (rabbitmq.BrokerTopic, "/auth/rabbitmq/topic"),
    (removals.RemovalList, "/v1/removals"),
    (removals.RemovalItem, "/v1/removals/<digest>"),
    (warehouses.WarehouseTokens, "/auth/warehouse"),
]
