"""An operator's way through the manager, in a real browser on the real stack."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import BROWSER_SECONDS
from tests.customers import PATIENCE_SECONDS, Customer, assert_good, insert_empty_cards, publish
from tests.photographer import VIEW, Photographer
from tests.real_stack import RealStack
from tests.tiny_base import PACKAGES

PATIENCE_MS = PATIENCE_SECONDS * 1000
SMALL_MB, PHOTOGENIC_MB = 20, 900
"""Of contents; for pictures of the work so much that it takes a while."""

TITLE = "First aid and health"
OTHER_BOOKS = (("jardin", "Le jardin potager", "fra"), ("water", "Clean water for a village", "eng"))


@pytest.fixture
def page(browser: Browser, stack: RealStack) -> Iterator[Page]:
    """A window at the manager; it fails the test when a page of ours runs into an error."""
    context = browser.new_context(base_url=stack.manager_url, viewport=VIEW, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(BROWSER_SECONDS * 1000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def photographer(page: Page, request: pytest.FixtureRequest) -> Photographer:
    folder: Path | None = request.config.getoption("--screenshots")
    return Photographer(page, folder)


def test_an_operator_goes_from_log_in_to_shipped_cards(
    stack: RealStack, page: Page, photographer: Photographer
) -> None:
    megabytes = PHOTOGENIC_MB if photographer.at_work else SMALL_MB
    for name, title, language in OTHER_BOOKS:
        publish(stack, name, title, 2, language)
    publish(stack, f"first-aid-{megabytes}", TITLE, megabytes)
    insert_empty_cards(stack)
    stack.cards.remove("A")

    page.goto("/")
    photographer.take("log-in")
    log_in(page, stack)
    page.get_by_role("link", name="Recipes").click()
    page.get_by_role("link", name=re.compile("New recipe|Make one")).first.click()
    name = make_recipe(page, photographer)
    expect(page.get_by_role("status")).to_have_text(f"The recipe {name} is saved.")
    page.get_by_role("link", name="Order cards").click()
    page.get_by_label("Cards", exact=True).fill("2")
    page.get_by_label("Name", exact=True).fill("School of Kati")
    page.get_by_label("Email").fill("school@example.org")
    photographer.take("order-new")
    page.get_by_role("button", name="Place the order").click()
    page.wait_for_url(re.compile(r"/orders/[0-9a-f-]{36}$"))
    # From here on the page tells what happens by itself: a reload would lose this mark.
    page.evaluate("window.neverReloaded = true")
    state = page.locator("section.state .now")
    photograph_build(page, photographer)
    expect(state).to_contain_text("Insert a card: A of writer-1 is waiting.", timeout=PATIENCE_MS)
    insert_empty_cards(stack, "A")
    photograph_cards(page, photographer)
    expect(state).to_contain_text("All 2 cards are verified. Ship them!", timeout=PATIENCE_MS)
    photographer.take("order-written")

    assert page.evaluate("window.neverReloaded")
    expect(page.get_by_text("2 of 2 verified")).to_be_visible()
    expect(page.get_by_text("every byte right")).to_have_count(2)
    link = page.get_by_role("link", name="List of all that is in it").get_attribute("href")
    assert link
    listed = {part["name"] for part in page.request.get(link).json()["components"]}
    assert {"cardshop-amd64", PACKAGES[0].name} < listed
    order_id = page.url.rsplit("/", 1)[1]
    order = stack.api("operator").get(f"/v1/orders/{order_id}")
    assert_good(stack, order)

    look_at_labels(page, order, photographer)

    page.get_by_text("Ship", exact=True).click()
    page.get_by_label("Tracking number").fill("RB 123 456 789")
    page.get_by_role("button", name="They are shipped").click()
    expect(state).to_contain_text("Shipped On its way to the recipient.")
    page.get_by_role("link", name="Orders").first.click()
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("2 of 2")
    photographer.take("orders")
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_role("heading", name="writer-2")).to_be_visible()
    photographer.take("workers")


def test_an_operator_sees_why_a_card_is_refused_and_the_order_goes_on_when_it_is_mended(
    stack: RealStack, page: Page, photographer: Photographer
) -> None:
    customer = Customer(stack, megabytes=5)
    insert_empty_cards(stack)
    card = stack.cards.card_in("A")
    assert card
    card.path.chmod(0o444)
    order_id = customer.order_cards()
    log_in(page, stack)

    page.goto(f"/orders/{order_id}")
    ask = page.locator("p.ask")
    expect(ask).to_contain_text(f"The card {card.serial} is read-only", timeout=PATIENCE_MS)
    expect(page.get_by_text("1 of 2 verified")).to_be_visible(timeout=PATIENCE_MS)
    photographer.take("order-card-refused")
    card.path.chmod(0o600)

    state = page.locator("section.state")
    expect(state).to_contain_text("All 2 cards are verified", timeout=PATIENCE_MS)
    expect(page.get_by_text("attempt 2")).to_have_count(0)


def test_a_wrong_password_is_told_and_nothing_is_shown(stack: RealStack, page: Page) -> None:
    page.goto("/orders")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    expect(page.get_by_role("navigation")).to_have_count(0)


def log_in(page: Page, stack: RealStack) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(stack.password("operator"))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()


def make_recipe(page: Page, photographer: Photographer) -> str:
    """Fills in and saves the form of a new recipe; the recipe's name."""
    name = "Clinics, 8 GB" if photographer.at_work else f"Clinics {uuid.uuid4().hex[:8]}"
    page.get_by_label("Name of the recipe").fill(name)
    page.get_by_label("Search the catalogue").fill("first aid")
    page.locator("[data-results] li", has_text=TITLE).get_by_role("checkbox").check()
    expect(page.locator("[data-picked] li")).to_have_count(1)
    page.get_by_label("Search the catalogue").fill("")
    expect(page.locator("[data-results]:not([aria-busy]) li", has_text="Le jardin potager")).to_be_visible()
    page.get_by_label("Wi-Fi name").fill(f"Health {uuid.uuid4().hex[:6]}")
    page.get_by_label("Who knows the password").check()
    page.get_by_label("Wi-Fi password").fill("reading-is-free")
    page.get_by_label("Time zone").fill("Africa/Bamako")
    page.get_by_label("System").select_option("cardshop-amd64")
    page.get_by_label("Size", exact=True).select_option("8 GB")
    expect(page.locator("[data-fit]")).to_contain_text(re.compile(r"Fits on 8 GB, [\d.]+ GB free"))
    photographer.take("recipe", whole=True)
    page.get_by_role("button", name="Save the recipe").click()
    return name


def look_at_labels(page: Page, order: dict[str, Any], photographer: Photographer) -> None:
    """Goes to the labels of all cards and back."""
    page.get_by_role("link", name="Labels", exact=True).click()
    expect(page.get_by_role("img", name=re.compile("QR code of the passport"))).to_have_count(2)
    photographer.take("labels")
    page.get_by_role("link", name=str(order["number"]), exact=True).click()


def photograph_build(page: Page, photographer: Photographer) -> None:
    if photographer.at_work:
        expect(page.locator(".work", has_text="MB/s")).to_be_visible(timeout=PATIENCE_MS)
        photographer.take("order-building")


def photograph_cards(page: Page, photographer: Photographer) -> None:
    """The order live: the card that came late is being written."""
    if photographer.at_work:
        writing = page.locator(".card .work", has_text=re.compile("Writing"))
        expect(writing.filter(has_text="MB/s").first).to_be_visible(timeout=PATIENCE_MS)
        photographer.take("order-live")
