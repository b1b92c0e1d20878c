"""A card in a real block device, written by a container that the technician's tool keeps."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from cardshop import writer_host
from tests.cards import loop_device, need_loop_devices
from tests.containers.conftest import WRITER_IMAGE
from tests.containers.daemon import Docker
from tests.customers import CARD_BYTES, Customer
from tests.journeys.test_technician import online
from tests.real_stack import RealStack
from tests.workers import until
from writer_helper.configuration import Configuration
from writer_helper.runners.containers import Containers

pytestmark = pytest.mark.timeout(3600)


def test_a_container_without_root_s_powers_writes_a_card_in_a_device(
    stack: RealStack, daemon: Docker, tmp_path: Path
) -> None:
    need_loop_devices()
    password = secrets.token_urlsafe(32)
    stack.api("admin").post("/v1/users", {"username": "boxed", "password": password, "role": "writer"})
    customer = Customer(stack, megabytes=5)
    card = tmp_path / "card-1"
    with card.open("xb") as file:
        file.truncate(CARD_BYTES)

    with loop_device(card) as device:
        writers = configured(stack, tmp_path, device, card, password)
        for other in ("writer-1", "writer-2"):
            stack.stop(other)
        try:
            writers.start(writers.host.slot("A"))
            until("the writer is online", lambda: "boxed" in online(stack), 60)
            order = customer.wait_state(customer.place(cards=1), "written", "failed")
        finally:
            log = "\n".join(writers.logs("A", 1000))
            writers.stop("A")
            for other in ("writer-1", "writer-2"):
                stack.start(other)

    assert order["state"] == "written", log
    [write] = [task for task in order["tasks"] if task["kind"] == "write"]
    assert write["worker"] == "boxed"
    assert write["outcome"]["card"]["serial"] == "card-1"
    assert password not in log


def configured(stack: RealStack, folder: Path, device: Path, card: Path, password: str) -> Containers:
    configuration = Configuration(folder / "writers.toml")
    broker = stack.stack.services.rabbit.address
    configuration.create(
        {
            "scheduler.url": stack.scheduler_url,
            "scheduler.ca_file": str(stack.ca_file),
            "broker.host": broker.host,
            "broker.port": broker.port,
            "writers.run": "docker",
            "writers.data": str(folder / "data"),
            "docker.image": WRITER_IMAGE,
        }
    )
    # A loop device goes by the file behind it.
    configuration.put_slot("A", device, fixed_device=str(card))
    configuration.put_accounts({"A": ("boxed", password)})
    return Containers(writer_host.load(configuration.path), configuration.path)
