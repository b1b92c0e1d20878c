"""Real services for the tests, each started once a session and only when a test asks for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect, sync_playwright

from cardshop.stack import mongod as stack_mongod
from cardshop.stack import ports
from cardshop.stack import rabbit as stack_rabbit
from tests.real_services import RealMongod, RealRabbit
from tests.real_stack import RealStack
from tests.shop import drop_databases
from tests.tiny_base import make_tiny_base

BROWSER_SECONDS = 60
"""A page and what it is to show may take so long, where a test says nothing else: Playwright's own are 5."""

MOST_SHARES = 8
"""Of the range of ports; a smaller share has no room for the ports of a stack."""

# The same examples in each run, and as much time for each as it takes: a busy machine is no fault of ours.
settings.register_profile(
    "cardshop",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("cardshop")


def pytest_configure() -> None:
    """Gives each test process ports of its own: a port is chosen a while before a server listens on it."""
    shares = min(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), MOST_SHARES)
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % shares
    width = len(ports.RANGE) // shares
    first = ports.RANGE.start + width * own
    ports.RANGE = range(first, first + width)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--screenshots FOLDER``: the browser's journeys are photographed (make screenshots)."""
    parser.addoption("--screenshots", type=Path, help="folder for pictures of the pages that journeys pass")


def missing(what: str) -> None:
    """Ends the test: a real service that isn't there skips it on a desk, and fails it in CI."""
    sentence = f"{what} is not installed; run: make setup"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def mongod_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealMongod]:
    """One MongoDB (replica set, TLS) for the session; tests take it as ``mongod``."""
    if stack_mongod.binary() is None:
        missing("mongod")
    running = RealMongod(tmp_path_factory.mktemp("mongod"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def mongod(mongod_of_session: RealMongod) -> Iterator[RealMongod]:
    """The session's MongoDB. Each test takes a database of its own; they go when its module ends."""
    yield mongod_of_session
    drop_databases(mongod_of_session.uri)


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRabbit]:
    """One RabbitMQ (TLS only, no scheduler) for the session. Each test takes queue names of its own."""
    if not stack_rabbit.installed():
        missing("RabbitMQ")
    running = RealRabbit(tmp_path_factory.mktemp("rabbit"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """The whole stack for the session, with small base images. A test leaves all services running."""
    if stack_mongod.binary() is None:
        missing("mongod")
    if not stack_rabbit.installed():
        missing("RabbitMQ")
    folder = tmp_path_factory.mktemp("cardshop")
    for base in ("cardshop-amd64", "cardshop-arm64"):
        make_tiny_base(folder / "bases", base)
    running = RealStack(folder / "stack")
    try:
        running.stack.up()
        yield running
    finally:
        running.stack.down()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for the session. Each test opens a context of its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("chromium")
    with sync_playwright() as playwright:
        # Without its sandbox, which Chromium refuses to root; it opens no page but ours.
        expect.set_options(timeout=BROWSER_SECONDS * 1000)
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()
