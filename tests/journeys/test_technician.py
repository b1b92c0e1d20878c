"""A technician's walk: from a fresh configuration to a written card, with the tool's plain commands."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.customers import CARD_BYTES, Customer
from tests.real_stack import RealStack
from tests.workers import until
from tests.writer_hosts import helper, told


@pytest.mark.slow
def test_a_fresh_host_writes_a_card(stack: RealStack, tmp_path: Path) -> None:
    configuration = tmp_path / "etc" / "writers.toml"
    slot = tmp_path / "slot-a"
    password = secrets.token_urlsafe(32)
    account = {"username": "rack-1-a", "password": password, "role": "writer"}
    stack.api("admin").post("/v1/users", account)
    customer = Customer(stack, megabytes=5)

    broker = stack.stack.services.rabbit.address
    told(
        configuration, "configure", "new", "--run", "process",
        "--scheduler", stack.scheduler_url, "--ca-file", str(stack.ca_file),
        "--broker", str(broker), "--data", str(tmp_path / "data"),
    )  # fmt: skip
    told(configuration, "configure", "slot", "A", str(slot), "--virtual")
    told(configuration, "configure", "account", "A", "rack-1-a", typed=f"{password}\n")
    for other in ("writer-1", "writer-2"):
        stack.stop(other)
    try:
        told(configuration, "start")
        until("the writer is online", lambda: "rack-1-a" in _online(stack), 60)
        order_id = customer.place(cards=1)
        with (tmp_path / "card-1").open("xb") as card:
            card.truncate(CARD_BYTES)
        (tmp_path / "card-1").rename(slot / "card-1")
        order = customer.wait_state(order_id, "written", "failed")
    finally:
        log = helper(configuration, "logs", "A", "--lines", "1000").stdout
        told(configuration, "stop")
        for other in ("writer-1", "writer-2"):
            stack.start(other)

    assert order["state"] == "written", log
    [write] = [task for task in order["tasks"] if task["kind"] == "write"]
    assert write["worker"] == "rack-1-a"
    assert write["outcome"]["card"]["serial"] == "card-1"
    assert password not in log


def _online(stack: RealStack) -> list[str]:
    workers = stack.api("admin").get("/v1/workers")["items"]
    return [worker["username"] for worker in workers if worker["state"] == "online"]
