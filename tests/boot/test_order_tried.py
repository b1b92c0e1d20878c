"""An order whose image is tried before it is handed out, on the whole stack with the real amd64 base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cardshop.image_format import PNG
from cardshop.stack.shape import Shape
from tests.boot.real_bases import BASES, base_facts
from tests.customers import Customer
from tests.real_stack import RealStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BOOT_SECONDS = 600.0


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """A stack whose creator tries its images."""
    base_facts("amd64")
    folder = tmp_path_factory.mktemp("cardshop")
    (folder / "bases").mkdir()
    for path in BASES.glob("cardshop-amd64.*"):
        (folder / "bases" / path.name).symlink_to(path)
    running = RealStack(folder / "stack", Shape(tries_images=True))
    try:
        running.stack.up()
        yield running
    finally:
        running.stack.down()


def test_an_operator_sees_the_portal_page_of_the_image_and_the_list_of_what_is_in_it(
    tried: RealStack, browser: Browser, tmp_path: Path
) -> None:
    customer = Customer(tried, megabytes=5)
    order = customer.wait_state(customer.place(), "written", "failed", seconds=BOOT_SECONDS)

    assert order["state"] == "written", order["failure"]
    image = next(task for task in order["tasks"] if task["kind"] == "create")
    assert image["outcome"]["seconds"]["boot"] > 0
    log = json.dumps(tried.api("operator").get(f"/v1/tasks/{image['id']}/log"))
    assert "host name, Wi-Fi, portal and 1 contents answered" in log
    context = browser.new_context(base_url=tried.manager_url)
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(tried.password("operator").strip())
    page.get_by_role("button", name="Log in").click()
    page.goto(f"/orders/{order['id']}")
    picture = page.get_by_alt_text("The portal page as guests see it")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 1024
    assert page.request.get(str(picture.get_attribute("src"))).body().startswith(PNG)
    link = page.get_by_role("link", name="List of all that is in it").get_attribute("href")
    listed = {part["name"] for part in page.request.get(str(link)).json()["components"]}
    assert {"kiwix-tools", "hostapd", "cardshop-amd64"} < listed
    context.close()
