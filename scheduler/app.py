"""Puts the API together: routes, services, limits, security headers."""

from __future__ import annotations

from typing import Any

import flask_restful
from flask import Flask, Response

from scheduler.api.problems import problem_answer
from scheduler.api.routes import ROUTES
from scheduler.api.services import Services

LARGEST_REQUEST_BYTES = 3 * 1024 * 1024
"""A recipe with a logo and a favicon of 1 MiB each, in base64."""

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


class _Api(flask_restful.Api):  # type: ignore[misc]  # flask-restful has no types
    def handle_error(self, error: Exception) -> Response:
        return problem_answer(error)


def make_app(services: Services) -> Flask:
    """The API as a WSGI application."""
    app = Flask("scheduler", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST_BYTES
    app.register_error_handler(Exception, problem_answer)
    app.after_request(_with_security_headers)
    api = _Api(app)
    for resource, url in ROUTES:
        api.add_resource(resource, url, resource_class_kwargs={"services": services})
    return app


def _with_security_headers(response: Any) -> Any:
    response.headers.update(SECURITY_HEADERS)
    return response
