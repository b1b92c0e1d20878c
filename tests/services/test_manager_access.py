"""What helps everybody, and those who hear or type their way through a page need: labels, heads, ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.shop import orders
from tests.api import Api, new_api
from tests.manager_pages import Element, Page, Visitor, manager_of
from tests.real_services import RealMongod
from tests.shop import a_draft

PAGES = (
    "/orders",
    "/orders/{order}",
    "/orders/{order}/slip",
    "/orders/{order}/labels",
    "/orders/new",
    "/recipes",
    "/recipes/new",
    "/catalogue",
    "/catalogue/own",
    "/catalogue/own/deletion?file=a.zim",
    "/workers",
    "/images",
    "/media",
    "/alarms",
    "/logs",
    "/mails",
    "/mails/{mail}",
    "/users",
    "/dead-letters",
)


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    return new_api(mongod.uri)


def test_every_page_can_be_used_by_ear_and_by_keyboard(api: Api, tmp_path: Path) -> None:
    order = orders.place(api.store, a_draft())
    (mail,), _ = api.store.mails.page()
    with manager_of(api, tmp_path) as client:
        visitor = Visitor(client, "admin")
        pages = {path: visitor.get(path.format(order=order.id, mail=mail.id)) for path in PAGES}

    assert {path: page.status for path, page in pages.items() if page.status != 200} == {}
    assert {path: found for path, page in pages.items() if (found := faults(page))} == {}


def faults(page: Page) -> list[str]:
    """What somebody who can't see the page, or has no mouse, would miss."""
    root = page.root
    ids = [each.attributes["id"] for each in everything(root) if "id" in each.attributes]
    labelled = {label.attributes.get("for", "") for label in root.all("label")}
    inside = [each for label in root.all("label") for each in label.all("input", "select", "textarea")]
    found = [f"two elements have the id {each}" for each in sorted({i for i in ids if ids.count(i) > 1})]
    for entry in root.all("input", "select", "textarea"):
        hidden = entry.attributes.get("type") == "hidden"
        named = entry.attributes.get("id") in labelled or "aria-label" in entry.attributes or entry in inside
        found += [] if hidden or named else [f"no label for {entry.attributes}"]
    for each in everything(root):
        about = each.attributes.get("aria-describedby", "").split()
        found += [f"aria-describedby of nothing: {name}" for name in about if name not in ids]
    found += [f"nothing to press on: {each.attributes}" for each in root.all("button", "a") if not each.text]
    found += [
        f"a head without scope: {each.text}" for each in root.all("th") if not each.attributes.get("scope")
    ]
    found += [f"no alt: {each.attributes}" for each in root.all("img") if "alt" not in each.attributes]
    found += [] if len(root.all("h1")) == 1 else ["not exactly one first heading"]
    return found


def everything(element: Element) -> list[Element]:
    return [each for child in element.children for each in (child, *everything(child))]
