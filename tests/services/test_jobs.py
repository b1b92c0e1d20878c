"""The jobs of schedules over a real database and a real catalogue: each does what its kind says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from beat.jobs import jobs
from cardshop.contract.errors import Conflict
from cardshop.stack.library import Library
from scheduler.domain.rights import Role
from scheduler.domain.schedules import JobKind, Schedule, Timing, Work
from scheduler.domain.states import OrderState
from scheduler.shop import orders, upkeep
from scheduler.shop import schedules as shop
from scheduler.shop.schedules import ScheduleDraft
from scheduler.store.outbox import LineKind, OutboxLine
from tests.api import Api, a_recipe, an_order, new_api, published_library, read_catalogue
from tests.pictures import a_picture, sent
from tests.real_services import RealMongod
from tests.schedules import tools
from tests.shop import Clock, a_draft

MONTHLY = {"name": "monthly", "kind": "order-recipe", "crontab": "0 3 1 * *"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with published_library(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(mongod: RealMongod, clock: Clock) -> Api:
    return new_api(mongod.uri, clock=clock)


def run(api: Api, schedule: Schedule) -> str:
    """What a beat does with a schedule that is due."""
    taken = shop.begin(api.store, schedule.id, beat="beat-1")
    assert taken is not None
    return jobs(tools(api))[schedule.work.kind](taken)


def run_now(api: Api, work: Work) -> str:
    draft = ScheduleDraft(work.kind.value, work, Timing(every_seconds=3600))
    schedule = shop.add(api.store, draft, schedule_id=work.kind.value, owner="admin")
    return run(api, shop.run_now(api.store, schedule.id))


def monthly(api: Api, library: Library, who: str = "operator") -> Schedule:
    recipe = api.post("/v1/recipes", a_recipe(read_catalogue(api, library.feed_url)), who=who)
    order: dict[str, Any] = {"recipe_id": recipe["id"], "quantity": 3, "recipient": {"name": "School"}}
    made = api.post("/v1/schedules", {**MONTHLY, "order": order}, who=who)
    return api.store.schedules.get(made["id"])


def test_a_recipe_is_ordered_each_month_for_who_made_the_schedule(
    api: Api, library: Library, clock: Clock
) -> None:
    schedule = monthly(api, library)
    assert schedule.next_run is not None
    clock.now = schedule.next_run

    told = run(api, schedule)

    (placed,), total = api.store.orders.page(owner=None)
    assert (told, total) == (f"Placed order {placed.number}.", 1)
    assert (placed.draft.owner, placed.draft.quantity, placed.draft.recipient.name) == (
        "operator",
        3,
        "School",
    )
    assert len(placed.draft.resolved.contents) == 2
    assert placed.draft.resolved.recipe.wifi_password != "reading-is-free"


def test_a_run_that_is_done_again_after_a_crash_orders_nothing_twice(
    api: Api, library: Library, clock: Clock
) -> None:
    schedule = monthly(api, library)
    assert schedule.next_run is not None
    clock.now = schedule.next_run
    first = run(api, schedule)
    clock.forward(timedelta(minutes=1))

    again = run(api, schedule)

    assert again == first
    assert api.store.orders.page(owner=None)[1] == 1


def test_nothing_is_ordered_for_a_locked_account_or_of_a_recipe_that_is_gone(
    api: Api, library: Library, clock: Clock
) -> None:
    schedule = monthly(api, library)
    assert schedule.next_run is not None
    assert schedule.work.order is not None
    clock.now = schedule.next_run
    api.store.recipes.remove(schedule.work.order.recipe_id)
    with pytest.raises(Conflict, match="recipe is gone"):
        run(api, schedule)
    api.store.users.change("operator", {"disabled": True})
    clock.forward(timedelta(minutes=1))

    with pytest.raises(Conflict, match="locked or gone"):
        run(api, schedule)

    assert api.store.orders.page(owner=None)[1] == 0


@pytest.mark.parametrize("role", [Role.CLIENT, Role.TECHNICIAN])
def test_nothing_is_ordered_for_an_account_that_has_lost_the_right_to_schedule_orders(
    api: Api, library: Library, clock: Clock, role: Role
) -> None:
    schedule = monthly(api, library)
    assert schedule.next_run is not None
    clock.now = schedule.next_run
    api.store.users.change("operator", {"role": role.value})

    with pytest.raises(Conflict, match="may schedule no orders now"):
        run(api, schedule)

    assert api.store.orders.page(owner=None)[1] == 0


def test_one_catalogue_is_read_or_all_of_them(api: Api, library: Library) -> None:
    api.store.catalogue.add("local", library.feed_url)

    assert run_now(api, Work(JobKind.REFRESH_CATALOGUES, catalogue="local")) == "Read 2 entries of local."
    api.store.schedules.remove(JobKind.REFRESH_CATALOGUES.value)
    assert run_now(api, Work(JobKind.REFRESH_CATALOGUES)) == "Read 1 catalogues."


def test_orders_in_which_nothing_moves_are_canceled_and_those_at_their_end_stay(
    api: Api, clock: Clock
) -> None:
    stale = orders.place(api.store, a_draft(image_digest="a1" * 32))
    clock.forward(timedelta(days=20))
    moving = orders.place(api.store, a_draft(image_digest="b2" * 32))
    clock.forward(timedelta(days=11))

    told = run_now(api, Work(JobKind.CLOSE_STALE_ORDERS, days=30))

    closed = api.store.orders.get(stale.id)
    assert told == "Closed 1 orders."
    assert closed.state is OrderState.CANCELED
    assert (closed.history[-1].who, closed.history[-1].why) == ("beat", "nothing moved for 30 days")
    assert api.store.orders.get(moving.id).state is OrderState.ACCEPTED


def test_old_sent_messages_are_cleaned_away_and_waiting_ones_stay(api: Api, clock: Clock) -> None:
    store = api.store
    store.outbox.add([OutboxLine(LineKind.TASK, task, "create", "old") for task in ("a", "b")])
    store.outbox.mark_sent(store.outbox.lease("one", 1))
    clock.forward(timedelta(days=31))

    told = run_now(api, Work(JobKind.CLEAN_LOGS, days=30))

    assert told == "Dropped 0 pieces of logs, 1 sent messages and 0 unused pictures."
    assert store.outbox.waiting() == 1


def test_pictures_that_nothing_has_are_cleaned_away_and_those_of_recipes_and_orders_stay(
    api: Api, library: Library, clock: Clock
) -> None:
    pictures = api.store.pictures
    idents = read_catalogue(api, library.feed_url)

    def recipe_with(shade: int) -> tuple[dict[str, Any], str]:
        given = {"logo": {"data": sent(a_picture(colour=f"#00000{shade}"))}}
        made = api.post("/v1/recipes", a_recipe(idents, branding=given, size="8 GB"))
        return made, made["branding"]["logo"]["sha256"]

    (_, kept), (ordered, of_order), (dropped, of_nobody) = (recipe_with(shade) for shade in (1, 2, 3))
    api.post("/v1/orders", an_order(recipe_id=ordered["id"]))
    for recipe in (ordered, dropped):
        api.call("DELETE", f"/v1/recipes/{recipe['id']}")
    clock.forward(timedelta(days=31))
    api.log_in_again()
    asked = pictures.keep(b"a picture whose recipe is being saved")

    told = run_now(api, Work(JobKind.CLEAN_LOGS, days=30))

    assert "and 1 unused pictures." in told
    stay = [pictures.is_kept(name) for name in (kept, of_order, of_nobody, asked)]
    assert stay == [True, True, False, True]


def test_a_picture_that_a_new_recipe_names_again_counts_as_new(api: Api, clock: Clock) -> None:
    name = api.store.pictures.keep(b"a picture")
    clock.forward(timedelta(days=31))

    assert api.store.pictures.is_kept(name)
    upkeep.clean_logs(api.store, 30)

    assert api.store.pictures.get(name) == b"a picture"


def test_tokens_are_signed_with_a_new_key_and_the_old_ones_go_on(api: Api, clock: Clock) -> None:
    before = api.store.keys.newest()
    api.get("/v1/me", who="operator")
    clock.forward(timedelta(minutes=1))

    told = run_now(api, Work(JobKind.ROTATE_KEYS))

    after = api.store.keys.newest()
    assert told == "New tokens are signed with a new key."
    assert before is not None
    assert after is not None
    assert after.kid != before.kid
    assert api.get("/v1/me", who="operator")["username"] == "operator"
    clock.forward(timedelta(hours=13))
    assert api.store.keys.verifying(before.kid) is None
