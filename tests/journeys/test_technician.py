"""A technician's walk: from a fresh configuration to a written card, with the tool's plain commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from cardshop import writer_host
from tests.customers import CARD_BYTES, Customer
from tests.real_stack import RealStack
from tests.workers import until
from tests.writer_hosts import helper, told


@pytest.mark.slow
def test_a_fresh_host_writes_a_card(stack: RealStack, tmp_path: Path) -> None:
    configuration = tmp_path / "etc" / "writers.toml"
    slot = tmp_path / "slot-a"
    customer = Customer(stack, megabytes=5)

    broker = stack.stack.services.rabbit.address
    told(
        configuration, "configure", "new", "--run", "process",
        "--scheduler", stack.scheduler_url, "--ca-file", str(stack.ca_file),
        "--broker", str(broker), "--data", str(tmp_path / "data"),
    )  # fmt: skip
    told(configuration, "configure", "slot", "A", str(slot), "--virtual")
    enrolled = told(configuration, "enrol", typed=f"{code_from_manager(stack, 'rack-1')}\n")
    password = writer_host.load(configuration).slot("A").password
    for other in ("writer-1", "writer-2"):
        stack.stop(other)
    try:
        told(configuration, "start")
        until("the writer is online", lambda: "rack-1-a" in online(stack), 60)
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

    assert enrolled == {"accounts": {"A": "rack-1-a"}}
    assert order["state"] == "written", log
    [write] = [task for task in order["tasks"] if task["kind"] == "write"]
    assert write["worker"] == "rack-1-a"
    assert write["outcome"]["card"]["serial"] == "card-1"
    assert password not in log


def code_from_manager(stack: RealStack, host: str) -> str:
    """The code that the manager's page shows to a person who is logged in."""
    browser = requests.Session()

    def send(path: str, **fields: str) -> str:
        page = browser.get(stack.manager_url + path).text
        [token, *_] = re.findall(r'name="csrf_token" value="([^"]+)"', page)
        answer = browser.post(stack.manager_url + path, data={"csrf_token": token, **fields})
        assert answer.ok, answer.text
        return answer.text

    send("/login", username="admin", password=stack.password("admin"))
    page = send("/enrolments", host=host, writers="2")
    [code] = re.findall(r'<code id="code">([^<]+)</code>', page)
    again = browser.get(stack.manager_url + "/enrolments").text
    assert host in again
    assert code not in again
    authority = browser.get(stack.manager_url + "/enrolments/authority.pem").text
    assert authority == stack.ca_file.read_text()
    return str(code)


def online(stack: RealStack) -> list[str]:
    workers = stack.api("admin").get("/v1/workers")["items"]
    return [worker["username"] for worker in workers if worker["state"] == "online"]
