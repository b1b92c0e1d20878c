"""The whole stack: it comes up, survives the death of a part, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import pytest
import requests

from cardshop.programs import run
from cardshop.stack import leftovers
from tests.real_services import PATIENCE_SECONDS
from tests.real_stack import RealStack


def stack_command(stack: RealStack, *words: str) -> str:
    argv = [sys.executable, "-m", "cardshop.stack", *words, "--folder", str(stack.stack.folder.root)]
    return run(argv, timeout=2 * PATIENCE_SECONDS).text


def test_every_service_runs(stack: RealStack) -> None:
    states = stack.stack.states()

    assert {state.name for state in states} >= {"scheduler", "rabbit", "creator-1", "writer-1", "writer-2"}
    assert [state.name for state in states if not state.running] == []


def test_a_second_up_says_that_it_runs(stack: RealStack) -> None:
    pids = {state.name: state.pid for state in stack.stack.states()}

    told = stack_command(stack, "up")

    assert "runs already" in told
    assert {state.name: state.pid for state in stack.stack.states()} == pids


@pytest.mark.parametrize("name", ["monitor", "rabbit", "scheduler", "epmd"])
def test_a_service_that_is_killed_comes_back(stack: RealStack, name: str) -> None:
    killed = stack.kill(name)

    assert stack.wait_back(name, killed) != killed


def test_the_schedulers_answer_verifies_against_our_authority_only(stack: RealStack) -> None:
    health = f"{stack.scheduler_url}/v1/health"

    assert requests.get(health, verify=str(stack.ca_file), timeout=PATIENCE_SECONDS).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(health, timeout=PATIENCE_SECONDS)


def test_rabbit_takes_the_accounts_of_the_scheduler(stack: RealStack) -> None:
    with stack.broker_connection("monitor") as connection:
        connection.connect()

        assert connection.connected


@pytest.mark.parametrize(("username", "password"), [("monitor", "wrong"), ("guest", "guest")])
def test_rabbit_refuses_whom_the_scheduler_does_not_know(
    stack: RealStack, username: str, password: str
) -> None:
    with (
        stack.broker_connection(username, password) as connection,
        pytest.raises(Exception, match="ACCESS_REFUSED"),
    ):
        connection.connect()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_servers_speak_tls_1_2_or_newer_only(stack: RealStack) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(stack.ca_file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    for name in ("scheduler", "rabbit", "mongod"):
        with pytest.raises((ssl.SSLError, ConnectionResetError)), connected(stack.stack.ports[name]) as plain:
            old.wrap_socket(plain, server_hostname="localhost")


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def test_no_secret_is_in_an_argument_of_a_process_or_in_a_log(stack: RealStack) -> None:
    folder = stack.stack.folder.root
    secrets = [path.read_text().strip() for path in (folder / "secrets").iterdir()]

    arguments = [argument for pid in leftovers.processes(folder) if (argument := arguments_of(pid))]
    logs = [path.read_bytes() for path in (folder / "logs").iterdir()]

    assert len(arguments) > len(stack.stack.states())
    assert [secret for secret in secrets for text in arguments + logs if secret.encode() in text] == []


def arguments_of(pid: int) -> bytes:
    """Empty when the process has ended by now: some of the stack's live for a moment only."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_nobody_else_can_read_what_the_stack_keeps(stack: RealStack) -> None:
    folder = stack.stack.folder.root

    assert folder.stat().st_mode & 0o077 == 0
    assert [path for path in (folder / "secrets").iterdir() if path.stat().st_mode & 0o077] == []
    assert [path for path in (folder / "tls").iterdir() if path.stat().st_mode & 0o077] == []


def test_down_ends_every_process_even_when_the_supervisor_was_killed(stack: RealStack) -> None:
    folder = stack.stack.folder.root
    supervisor = int((folder / "run" / "supervisord.pid").read_text())

    try:
        kill_and_wait(supervisor)
        orphans = len(leftovers.processes(folder))
        told = stack_command(stack, "down")

        assert orphans > 0
        assert leftovers.processes(folder) == []
        assert "is stopped" in told
    finally:
        stack.stack.up()


def kill_and_wait(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    leftovers.wait([pid], PATIENCE_SECONDS)
