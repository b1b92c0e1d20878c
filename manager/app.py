"""Wires the manager: guards, who is logged in, pages, errors in people's words."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from flask import Flask, g, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from cardshop.contract.errors import CardshopError, NotFound
from manager import display, security, visitor
from manager.api import SchedulerApi
from manager.pages import (
    admin,
    alarms,
    catalogue,
    enrolments,
    labels,
    logs,
    mails,
    offspot,
    orders,
    recipes,
    schedules,
    session,
    shelf,
    slips,
    workers,
)
from manager.sessions import Sessions
from manager.settings import Settings

log = structlog.get_logger()

PAGE_GROUPS = (
    session.pages,
    orders.pages,
    offspot.pages,
    recipes.pages,
    catalogue.pages,
    shelf.pages,
    workers.pages,
    enrolments.pages,
    alarms.pages,
    logs.pages,
    mails.pages,
    slips.pages,
    labels.pages,
    schedules.pages,
    admin.pages,
)


def make_app(
    settings: Settings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> Flask:
    """The WSGI application.

    Args:
        settings: of this service.
        now: what ages are counted from.
        clock: seconds, monotonic; sessions end by it.
    """
    app = Flask("manager")
    app.config["CA_FILE"] = settings.ca_file
    app.config["PAGES_URL"] = settings.pages_url
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    scheduler = SchedulerApi(settings.scheduler_url, settings.ca_file)
    security.guard(app, secret_key=settings.secret_key, https=settings.tls_cert is not None)
    visitor.let_in(app, Sessions(scheduler, clock))
    display.teach(app, now)
    for pages in PAGE_GROUPS:
        app.register_blueprint(pages)
    app.register_error_handler(CardshopError, _show_error)
    app.register_error_handler(HTTPException, _show_http_error)
    app.register_error_handler(Exception, _show_surprise)

    @app.context_processor
    def visitor_facts() -> dict[str, object]:
        return {"user": g.get("api"), "open_alarms": alarms.open_alarms}

    @app.get("/health")
    def health() -> tuple[dict[str, str], int]:
        try:
            scheduler.call("GET", "health")
        except CardshopError as error:
            return {"status": "no scheduler", "why": error.sentence}, 503
        return {"status": "ok"}, 200

    return app


def _show_error(error: CardshopError) -> tuple[str | dict[str, str], int]:
    if visitor.wants_json():
        return {"sentence": error.sentence, "hint": error.hint}, error.status
    return render_template("error.html", error=error), error.status


def _show_http_error(error: HTTPException) -> tuple[str | dict[str, str], int] | Response:
    if error.code is None or error.code < 400:
        return error.get_response()
    told = (
        NotFound("There is no such page.")
        if error.code == 404
        else CardshopError(error.description or error.name)
    )
    answer, _ = _show_error(told)
    return answer, error.code


def _show_surprise(error: Exception) -> tuple[str | dict[str, str], int]:
    log.error("page failed", path=request.path, exc_info=error)
    return _show_error(
        CardshopError("This page has a fault.", hint="It was written down in the manager's log.")
    )
