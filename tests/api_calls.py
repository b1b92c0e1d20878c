"""A good call of each route of the API: what tests of every route begin with.

:data:`GOOD` has the routes as the OpenAPI document names them. A call makes what it is about, so that each
can be sent more than once and none needs another.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cardshop.contract.events import EVENT_VERSION, EventType, outcome_to_wire
from cardshop.contract.names import EVENT_QUEUE, VHOST
from scheduler.domain.alarms import AlarmKind
from scheduler.domain.rights import Role
from scheduler.domain.tasks import Task
from scheduler.mail.words import words_of
from scheduler.shop import mails, orders, tasks
from scheduler.shop.alarms import raise_alarm
from scheduler.shop.dead_letters import keep
from scheduler.shop.folding import fold_event
from scheduler.store.dead_letters import NewLetter
from tests.api import PASSWORD, Api, a_recipe, an_order
from tests.schedules import HOURLY
from tests.shop import a_draft, card_written, image_built, told


@dataclass(frozen=True)
class Call:
    """What a good request says besides its method and path."""

    path: dict[str, str] = field(default_factory=dict)  # values of the path's parts
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """The API, a catalogue and the ident of a content in it."""

    api: Api
    catalogue: str
    content: str

    def user(self) -> str:
        made = {"username": _name(), "password": PASSWORD, "role": "client"}
        return str(self.api.post("/v1/users", made)["username"])

    def recipe(self) -> str:
        return str(self.api.post("/v1/recipes", a_recipe([self.content]))["id"])

    def offspot_base(self) -> str:
        base = {**_base(), "system": "offspot"}
        return str(self.api.post("/v1/bases", base)["name"])

    def schedule(self) -> str:
        return str(self.api.post("/v1/schedules", {**HOURLY, "name": _name()})["id"])

    def kept_image(self) -> str:
        """An image that the warehouse has."""
        digest = _digest()
        outcome = {"image_digest": digest, "size_bytes": 1, "mapped_bytes": 1, "manifest_sha256": digest}
        self.api.store.images.keep({**outcome, "seconds": {}}, "main")
        return digest

    def given_up_image(self) -> str:
        """An image that the warehouse is to delete."""
        digest = self.kept_image()
        assert self.api.store.images.give_up(digest, self.api.store.clock() + timedelta(days=1), None)
        return digest

    def image_task(self) -> Task:
        """A new order's image, which no worker has claimed; new workers have room for it and its card."""
        for role in 2 * (Role.CREATOR, Role.WRITER):
            worker = _name()
            self.api.store.users.add(worker, role, "no password")
            self.api.store.workers.seen(worker, role, f"{worker}@desk", online=True)
        order = orders.place(self.api.store, a_draft(quantity=1, image_digest=_digest()))
        return self.api.store.tasks.of_order(order.id)[0]

    def claimed_image(self) -> Task:
        """A new order's image, in the hands of ``creator``."""
        task = self.image_task()
        return tasks.claim(self.api.store, task.id, 1, worker="creator", role=Role.CREATOR).task

    def built(self) -> str:
        """An order whose image is built."""
        task = self.claimed_image()
        done = told(task, EventType.TASK_SUCCEEDED, body=image_built(task.image_digest))
        fold_event(self.api.store, done, sender="creator")
        return task.order_id

    def failed(self) -> str:
        """An order whose image could not be built."""
        task = self.claimed_image()
        fold_event(self.api.store, told(task, EventType.TASK_FAILED), sender="creator")
        return task.order_id

    def written(self) -> str:
        """An order whose one card is verified."""
        order_id = self.built()
        given = self.api.store.tasks.of_order(order_id)[1]
        writer = given.worker or ""
        card = tasks.claim(self.api.store, given.id, 1, worker=writer, role=Role.WRITER).task
        done = told(card, EventType.TASK_SUCCEEDED, body=card_written("A", card.image_digest))
        fold_event(self.api.store, done, sender=writer)
        return order_id

    def letter(self) -> str:
        """A dead letter that can be replayed."""
        task = self.claimed_image()
        event = {
            "type": "task-succeeded",
            "uuid": task.id,
            "hostname": "creator@desk",
            "timestamp": 1.0,
            "version": EVENT_VERSION,
            "attempt": task.attempt,
            "claim": task.claim,
            "seq": 1,
            "outcome": outcome_to_wire(image_built(task.image_digest)),
        }
        keep(self.api.store, [NewLetter(EVENT_QUEUE, "creator", "It was not understood.", json.dumps(event))])
        return self.api.store.dead_letters.page()[0][0].id

    def refused_mail(self) -> str:
        """A mail that the mail server would not take."""
        (mail,), _ = self.api.store.mails.page(order_id=self.image_task().order_id)
        claimed = self.api.store.mails.claim(mail, "beat", words_of(mail, ""), f"<{_name()}@shop.example>")
        assert claimed
        mails.refused(self.api.store, claimed, "550 no such mailbox")
        return mail.id

    def alarm(self) -> None:
        raise_alarm(self.api.store, kind=AlarmKind.WORKER_SILENT, subject=_name(), sentence="It is silent.")

    def enrolment_code(self) -> str:
        return str(self.api.post("/v1/enrolments", {"host": _name(), "writers": 1})["code"])

    def warehouse_token(self) -> str:
        claim = {"attempt": 1}
        path = f"/v1/tasks/{self.image_task().id}/claims"
        return str(self.api.post(path, claim, who="creator")["warehouse"]["token"])


def _name() -> str:
    return f"n{uuid.uuid4().hex[:12]}"


def _digest() -> str:
    return uuid.uuid4().hex * 2


def _refresh_token(world: World) -> Call:
    return Call(body={"refresh_token": world.api.log_in("operator")["refresh_token"]})


def _broker(**more: str) -> Callable[[World], Call]:
    return lambda _: Call(body={"username": "creator", **more})


def _alarms(world: World) -> Call:
    world.alarm()
    return Call(query={"open": "true", "page": "1", "per_page": "10"})


def _redemption(world: World) -> Call:
    writers = [{"slot": "A", "password": uuid.uuid4().hex * 2}]
    return Call(body={"code": world.enrolment_code(), "writers": writers})


def _base() -> dict[str, Any]:
    words = {"version": 1, "name": _name(), "architecture": "arm64", "release": "bookworm", "recipe": "r"}
    sizes = {"bytes": 9, "boot_bytes": 4, "root_bytes": 5}
    return {**words, **sizes, "built": "2026-01-01T00:00:00Z", "sha256": "a" * 64}


def _nothing(_: World) -> Call:
    return Call()


PAGE = {"page": "1", "per_page": "10"}
_RESOURCE = {"vhost": VHOST, "resource": "queue", "name": "create", "permission": "read"}

GOOD: dict[tuple[str, str], Callable[[World], Call]] = {
    ("get", "/v1/health"): _nothing,
    ("get", "/v1/openapi.json"): _nothing,
    ("post", "/v1/tokens"): lambda _: Call(body={"username": "client", "password": PASSWORD}),
    ("delete", "/v1/tokens"): _refresh_token,
    ("post", "/v1/tokens/refresh"): _refresh_token,
    ("get", "/v1/me"): _nothing,
    ("get", "/v1/users"): _nothing,
    ("post", "/v1/users"): lambda _: Call(
        body={
            "username": _name(),
            "password": PASSWORD,
            "role": "client",
            "email": "a@example.org",
            "language": "fr",
        }
    ),
    ("get", "/v1/users/{username}"): lambda world: Call({"username": world.user()}),
    ("patch", "/v1/users/{username}"): lambda world: Call(
        {"username": world.user()},
        {
            "password": PASSWORD,
            "role": "operator",
            "email": "b@example.org",
            "language": "es",
            "disabled": True,
        },
    ),
    ("delete", "/v1/users/{username}"): lambda world: Call({"username": world.user()}),
    ("get", "/v1/media"): _nothing,
    ("post", "/v1/media"): lambda _: Call(
        body={"name": _name(), "nominal_gb": 7, "size_bytes": 4 * 1024 * 1024 * 1000}
    ),
    ("get", "/v1/catalogues"): _nothing,
    ("post", "/v1/catalogues"): lambda _: Call(body={"name": _name(), "url": "http://127.0.0.1:1/feed"}),
    ("post", "/v1/catalogues/{name}/refreshes"): lambda world: Call({"name": world.catalogue}),
    ("get", "/v1/catalogue/entries"): lambda world: Call(
        query={"lang": "eng", "q": "hello", "catalogue": world.catalogue, **PAGE}
    ),
    ("get", "/v1/bases"): _nothing,
    ("post", "/v1/bases"): lambda _: Call(body=_base()),
    ("get", "/v1/warehouses"): _nothing,
    ("post", "/v1/warehouses"): lambda _: Call(body={"name": "main", "host": "warehouse.test", "port": 2121}),
    ("post", "/v1/trial-tokens"): _nothing,
    ("post", "/v1/shelf-tokens"): _nothing,
    ("get", "/v1/shelf-uses"): lambda _: Call(query={"file": "guide.zim"}),
    ("get", "/v1/pictures/{sha256}"): lambda world: Call({"sha256": world.api.store.pictures.keep(b"PNG")}),
    ("get", "/v1/recipes"): lambda _: Call(query={"q": "Lib", **PAGE}),
    ("post", "/v1/recipes"): lambda world: Call(body=a_recipe([world.content])),
    ("post", "/v1/recipes/fit"): lambda world: Call(
        body={"contents": [world.content], "base": "cardshop-amd64", "size": "8 GB"}
    ),
    ("post", "/v1/recipes/offspot"): lambda world: Call(
        body={"name": "Imported", "yaml": "base: {source: x}\n", "base": world.offspot_base()}
    ),
    ("get", "/v1/recipes/{recipe_id}/offspot"): lambda world: Call({"recipe_id": world.recipe()}),
    ("get", "/v1/recipes/{recipe_id}"): lambda world: Call({"recipe_id": world.recipe()}),
    ("put", "/v1/recipes/{recipe_id}"): lambda world: Call(
        {"recipe_id": world.recipe()}, a_recipe([world.content], name="Renamed")
    ),
    ("delete", "/v1/recipes/{recipe_id}"): lambda world: Call({"recipe_id": world.recipe()}),
    ("get", "/v1/recipes/{recipe_id}/fit"): lambda world: Call({"recipe_id": world.recipe()}),
    ("get", "/v1/orders"): lambda _: Call(query=PAGE),
    ("post", "/v1/orders"): lambda world: Call(body=an_order(recipe_id=world.recipe(), medium="16 GB")),
    ("get", "/v1/orders/{order_id}"): lambda world: Call({"order_id": world.written()}),
    ("post", "/v1/orders/{order_id}/cancel"): lambda world: Call(
        {"order_id": world.built()}, {"why": "The school has closed."}
    ),
    ("post", "/v1/orders/{order_id}/retry"): lambda world: Call({"order_id": world.failed()}),
    ("post", "/v1/orders/{order_id}/shipment"): lambda world: Call(
        {"order_id": world.written()}, {"tracking": "RB 123"}
    ),
    ("post", "/v1/orders/{order_id}/requeue"): lambda world: Call(
        {"order_id": world.failed()}, {"why": "The writer hangs."}
    ),
    ("post", "/v1/orders/{order_id}/hold"): lambda world: Call(
        {"order_id": world.image_task().order_id}, {"why": "The school asked."}
    ),
    ("post", "/v1/orders/{order_id}/release"): lambda world: Call(
        {"order_id": world.image_task().order_id}, {"why": "The cards came."}
    ),
    ("post", "/v1/orders/{order_id}/priority"): lambda world: Call(
        {"order_id": world.image_task().order_id}, {"priority": "high", "why": "The plane leaves."}
    ),
    ("get", "/v1/orders/{order_id}/passports"): lambda world: Call({"order_id": world.written()}),
    ("post", "/v1/images/{digest}/download-tokens"): lambda world: Call({"digest": world.kept_image()}),
    ("post", "/v1/orders/{order_id}/download-tokens"): lambda world: Call({"order_id": world.built()}),
    ("get", "/v1/tasks/{task_id}"): lambda world: Call({"task_id": world.image_task().id}),
    ("get", "/v1/tasks/{task_id}/log"): lambda world: Call(
        {"task_id": world.image_task().id}, query={"text": "card"}
    ),
    ("get", "/v1/task-logs"): lambda _: Call(query={"text": "card"}),
    ("post", "/v1/tasks/{task_id}/claims"): lambda world: Call(
        {"task_id": world.image_task().id}, {"attempt": 1}
    ),
    ("get", "/v1/workers"): _nothing,
    ("post", "/v1/workers/{username}/drain"): lambda _: Call({"username": "writer"}, {"why": "dust"}),
    ("post", "/v1/workers/{username}/resume"): lambda _: Call({"username": "writer"}, {"why": "clean"}),
    ("get", "/v1/workers/{username}/drains"): lambda _: Call({"username": "writer"}),
    ("get", "/v1/monitors"): _nothing,
    ("get", "/v1/enrolments"): lambda _: Call(query=PAGE),
    ("post", "/v1/enrolments"): lambda _: Call(body={"host": _name(), "writers": 2}),
    ("post", "/v1/enrolments/redemptions"): _redemption,
    ("get", "/v1/alarms"): _alarms,
    ("get", "/v1/mails"): lambda _: Call(query={"state": "waiting", **PAGE}),
    ("get", "/v1/mails/{mail_id}"): lambda world: Call({"mail_id": world.refused_mail()}),
    ("post", "/v1/mails/{mail_id}/resend"): lambda world: Call({"mail_id": world.refused_mail()}),
    ("post", "/v1/mails/{mail_id}/dismissal"): lambda world: Call({"mail_id": world.refused_mail()}),
    ("get", "/v1/images"): _nothing,
    ("get", "/v1/images/{digest}/signature"): lambda world: Call({"digest": world.kept_image()}),
    ("get", "/v1/image-keys"): _nothing,
    ("get", "/v1/removals"): _nothing,
    ("post", "/v1/removals/{digest}"): lambda world: Call({"digest": world.given_up_image()}),
    ("get", "/v1/dead-letters"): lambda _: Call(query={"state": "replayed", **PAGE}),
    ("post", "/v1/dead-letters/{letter_id}/replay"): lambda world: Call({"letter_id": world.letter()}),
    ("post", "/v1/dead-letters/{letter_id}/discard"): lambda world: Call({"letter_id": world.letter()}),
    ("get", "/v1/schedules"): _nothing,
    ("post", "/v1/schedules"): lambda _: Call(body={**HOURLY, "name": _name()}),
    ("get", "/v1/schedules/{schedule_id}"): lambda world: Call({"schedule_id": world.schedule()}),
    ("put", "/v1/schedules/{schedule_id}"): lambda world: Call(
        {"schedule_id": world.schedule()}, {**HOURLY, "name": _name()}
    ),
    ("delete", "/v1/schedules/{schedule_id}"): lambda world: Call({"schedule_id": world.schedule()}),
    ("post", "/v1/schedules/{schedule_id}/runs"): lambda world: Call({"schedule_id": world.schedule()}),
    ("post", "/auth/rabbitmq/user"): _broker(password=PASSWORD),
    ("post", "/auth/rabbitmq/vhost"): _broker(vhost=VHOST),
    ("post", "/auth/rabbitmq/resource"): _broker(**_RESOURCE),
    ("post", "/auth/rabbitmq/topic"): _broker(**_RESOURCE, routing_key="any"),
    ("post", "/auth/warehouse"): lambda world: Call(body={"token": world.warehouse_token()}),
}
