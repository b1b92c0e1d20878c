"""What the manager's pages promise to every browser, with no scheduler to talk to."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cardshop.settings import Address
from manager.app import make_app
from manager.security import local_path
from manager.settings import Settings

NOBODY_LISTENS = "https://127.0.0.1:1"


def a_browser(tmp_path: Path, *, https: bool = False) -> FlaskClient:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    settings = Settings(
        listen=Address("127.0.0.1", 8080),
        scheduler_url=NOBODY_LISTENS,
        ca_file=ca_file,
        secret_key="k" * 32,
        tls_cert=ca_file if https else None,
        tls_key=ca_file if https else None,
    )
    return make_app(settings).test_client()


def test_no_page_runs_a_script_or_style_that_is_written_into_it(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)

    answer = browser.get("/login")

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text


def test_every_answer_carries_the_guarding_headers(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)

    answers = [browser.get(path) for path in ("/login", "/orders", "/nowhere", "/static/style.css")]

    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_pages_are_not_kept_by_caches(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)

    answer = browser.get("/login")

    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/login", "/logout", "/orders/new", "/orders/x/cancel", "/recipes/x/delete"]
)
def test_a_post_without_its_csrf_token_is_refused(tmp_path: Path, path: str) -> None:
    browser = a_browser(tmp_path)

    answer = browser.post(path, data={"username": "operator", "password": "right"})

    assert answer.status_code == 400


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)

    cookie = browser.get("/login").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_over_https_the_cookie_and_the_site_stay_on_https(tmp_path: Path) -> None:
    browser = a_browser(tmp_path, https=True)

    answer = browser.get("/login", base_url="https://localhost")

    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize("path", ["/orders", "/recipes/new", "/users", "/dead-letters", "/workers/live"])
def test_who_is_not_logged_in_sees_only_the_login_page(tmp_path: Path, path: str) -> None:
    browser = a_browser(tmp_path)

    answer = browser.get(path)

    assert answer.status_code == 303
    assert answer.location.startswith("/login")


def test_a_script_whose_session_has_ended_is_told_so(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)

    answer = browser.get("/orders/live", headers={"Accept": "application/json"})

    assert answer.status_code == 401


def test_a_session_of_before_the_restart_is_explained(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)
    with browser.session_transaction() as cookie:
        cookie["id"] = "of the process before"

    answer = browser.get("/orders", follow_redirects=True)

    assert "Your session has ended" in answer.text


def test_health_tells_that_the_scheduler_is_away(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)

    answer = browser.get("/health")

    assert answer.status_code == 503
    assert answer.json == {"status": "no scheduler", "why": "The scheduler does not answer."}


def test_a_login_while_the_scheduler_is_away_says_so(tmp_path: Path) -> None:
    browser = a_browser(tmp_path)
    token = browser.get("/login").text.split('name="csrf_token" value="')[1].split('"')[0]

    answer = browser.post("/login", data={"username": "ada", "password": "x", "csrf_token": token})

    assert answer.status_code == 503
    assert "The scheduler does not answer." in answer.text


@pytest.mark.parametrize(
    "target", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere", "", "/a\n"]
)
def test_a_link_to_the_login_page_leads_nowhere_else(target: str) -> None:
    assert local_path(target) == "/"


def test_after_the_login_one_is_where_one_wanted_to_be() -> None:
    assert local_path("/orders/1?x=2") == "/orders/1?x=2"
