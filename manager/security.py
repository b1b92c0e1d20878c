"""What guards the pages in the browser: headers, the content security policy, CSRF tokens, cookies."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFProtect

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script and no inline style: text that slips through as HTML can't run or redraw the page."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer, unless the view has said something stricter."""

STRICT_TRANSPORT = "max-age=31536000"

MAX_FORM_BYTES = 3 * 1024 * 1024
"""The form of a recipe with a logo and a favicon of 1 MiB each."""


def guard(app: Flask, *, secret_key: str, https: bool) -> None:
    """Puts every route of ``app`` behind these guards; a POST without its CSRF token is refused."""
    app.config.update(
        SECRET_KEY=secret_key,
        SESSION_COOKIE_NAME="cardshop",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=https,
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a form left open over lunch still works
    )
    CSRFProtect(app)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if https:
            response.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def local_path(target: str) -> str:
    """``target`` when it is a path on this site, else the front page: nobody is sent elsewhere by a link."""
    ours = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if ours and target.isprintable() else "/"
