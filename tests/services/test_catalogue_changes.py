"""A catalogue that changes: between two pages, between two readings, after an order was placed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from cardshop.contract.errors import MirrorRefused
from scheduler.shop.catalogue import refresh
from tests.api import Api, a_recipe, an_order, new_api
from tests.mirror import Mirror, serve_mirror
from tests.real_services import RealMongod

DIGEST = hashlib.sha256(b"").hexdigest()
PAGE = "feed?count=2"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served:
        yield served


@pytest.fixture
def api(mongod: RealMongod, mirror: Mirror) -> Api:
    made = new_api(mongod.uri)
    made.store.catalogue.add("far", mirror.url("").rstrip("/") + f"/{PAGE}")
    return made


def page(mirror: Mirror, *names: str, total: int | None) -> bytes:
    """A page of the feed; each of its files gets a metalink."""
    entries = []
    for name in names:
        address = mirror.url(f"{name}.zim")
        mirror.files[f"{name}.zim.meta4"] = (
            f'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="{name}.zim"><size>1000</size>'
            f'<hash type="sha-256">{DIGEST}</hash><url>{address}</url></file></metalink>'
        ).encode()
        entries.append(
            f"<entry><id>{name}</id><title>{name}</title><name>{name}</name><language>eng</language>"
            "<publisher><name>far</name></publisher>"
            f'<link rel="http://opds-spec.org/acquisition/open-access" href="{address}.meta4" length="1000"/>'
            "</entry>"
        )
    told = "" if total is None else f"<totalResults>{total}</totalResults>"
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{told}{"".join(entries)}</feed>'.encode()


def listed(api: Api) -> set[str]:
    items = api.get("/v1/catalogue/entries?catalogue=far")["items"]
    return {item["title"] for item in items}


def read(api: Api) -> set[str]:
    refresh(api.store, api.services.web, "far")
    return listed(api)


def test_all_pages_of_a_catalogue_are_read(api: Api, mirror: Mirror) -> None:
    mirror.files[PAGE] = page(mirror, "a", "b", total=3)
    mirror.files[f"{PAGE}&start=2"] = page(mirror, "c", total=3)

    assert read(api) == {"a", "b", "c"}


def test_a_catalogue_that_shrinks_between_two_pages_is_read_anew(api: Api, mirror: Mirror) -> None:
    mirror.files[PAGE] = page(mirror, "a", "b", total=4)
    # One entry went away meanwhile, so that the second page begins behind one that nobody has seen.
    mirror.files[f"{PAGE}&start=2"] = page(mirror, "d", total=3)
    mirror.then[PAGE] = page(mirror, "a", "c", total=3)

    assert read(api) == {"a", "c", "d"}


def test_a_catalogue_that_lists_fewer_than_it_tells_is_one_error_and_what_was_listed_stays(
    api: Api, mirror: Mirror
) -> None:
    mirror.files[PAGE] = page(mirror, "a", "b", total=2)
    read(api)
    mirror.files[PAGE] = page(mirror, "a", total=900)
    mirror.files[f"{PAGE}&start=1"] = page(mirror, total=900)

    with pytest.raises(MirrorRefused, match="1 entries of the 900"):
        read(api)

    assert listed(api) == {"a", "b"}
    shown = api.get("/v1/catalogues")["items"]
    assert "changes while it is read" in shown[0]["problem"]


def test_what_left_the_catalogue_is_built_for_those_who_ordered_it_and_refused_to_others(
    api: Api, mirror: Mirror
) -> None:
    mirror.files[PAGE] = page(mirror, "a", "b", total=2)
    read(api)
    recipe = api.post("/v1/recipes", a_recipe(["far:a:", "far:b:"]))
    order = api.post("/v1/orders", an_order(recipe_id=recipe["id"]))
    mirror.files[PAGE] = page(mirror, "b", total=1)
    read(api)

    refused = api.call("POST", "/v1/orders", an_order(recipe_id=recipe["id"]))

    assert refused.status == 422, refused
    assert "far:a:" in refused.body["detail"]
    kept = api.store.orders.get(order["id"]).draft.resolved.contents
    assert [content.file for content in kept] == ["a.zim", "b.zim"]
    assert api.get(f"/v1/orders/{order['id']}")["state"] in ("accepted", "building")
