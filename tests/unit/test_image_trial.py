"""The trial of a built image, where it doesn't start: that is told, and nothing of it is handed out."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cardshop.contract.errors import BootFailed, Unavailable
from cardshop.contract.events import Phase
from cardshop.fit import BOOT_OFFSET
from cardshop.machines import PC
from cardshop.programs import run
from creator.build import build
from creator.plan import BuiltImage, ImagePlan, Places
from creator.trial import record_of, require_machine, try_image
from tests.conftest import missing
from tests.image_plans import make_content, make_places, make_plan
from tests.mirror import serve_mirror
from tests.zims import make_zim


class Listener:
    """Hears what a trial tells."""

    def __init__(self, lock: Path) -> None:
        self.progress: list[tuple[Phase, int, int, str]] = []
        self.lines: list[str] = []
        self.held = False
        """Whether others leave the image's folder alone meanwhile."""
        self._lock = lock

    def observe(self, phase: Phase, done: int, total: int, unit: str) -> None:
        with self._lock.open("w") as lock, suppress(BlockingIOError):
            self.held = True
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.held = False
        self.progress.append((phase, done, total, unit))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path)


@pytest.fixture
def plan(tmp_path: Path, places: Places) -> Iterator[ImagePlan]:
    with serve_mirror() as mirror:
        zim = make_zim(tmp_path / "one.zim")
        configuration = {"hostname": "library", "domain": "hotspot", "ssid": "Open", "wifi_passphrase": None}
        configuration["language"] = "en"
        content = make_content(mirror, zim.name, zim.read_bytes())
        yield make_plan(places, content, card_configuration=configuration)


@pytest.fixture
def listener(plan: ImagePlan, places: Places) -> Listener:
    return Listener(places.work / f"{plan.digest}.lock")


@pytest.fixture
def built(plan: ImagePlan, places: Places) -> BuiltImage:
    return build(plan, places, lambda *_: None)


def tried(built: BuiltImage, plan: ImagePlan, places: Places, listener: Listener) -> float:
    return try_image(
        built, plan, places, PC, timeout=120, observe=listener.observe, log=listener.lines.append
    )


def test_an_image_that_does_not_start_is_thrown_away_and_its_end_is_told(
    plan: ImagePlan, places: Places, built: BuiltImage, listener: Listener
) -> None:
    if shutil.which(PC.program) is None:
        missing(PC.program)
    drive, entry = f"{built.image}@@{BOOT_OFFSET}", b"options root=LABEL=cardshop-root\n"
    run(["mmd", "-i", drive, "::loader", "::loader/entries"], timeout=120)
    for name, content in {"loader/entries/cardshop.conf": entry, "initrd.img": b"", "vmlinuz": b"no"}.items():
        run(["mcopy", "-o", "-i", drive, "-", f"::{name}"], stdin=content, timeout=120)

    with pytest.raises(BootFailed) as told:
        tried(built, plan, places, listener)

    assert listener.held
    assert "does not start" in told.value.sentence
    assert "kernel" in told.value.hint
    assert not told.value.retryable
    assert listener.progress == [(Phase.BOOT, 0, 4, "steps")]
    assert not built.image.parent.exists()


def test_an_image_that_this_host_could_not_start_stays_to_be_tried_again(
    plan: ImagePlan, places: Places, built: BuiltImage, listener: Listener
) -> None:
    with pytest.raises(Unavailable) as told:  # no kernel could be copied out of it
        tried(built, plan, places, listener)

    assert told.value.retryable
    assert built.image.exists()
    assert not record_of(built.image).exists()


def test_an_image_that_passed_before_the_worker_was_killed_is_not_started_again(
    plan: ImagePlan, places: Places, built: BuiltImage, listener: Listener
) -> None:
    record_of(built.image).write_text("31.5")
    again = build(plan, places, lambda *_: None)

    assert tried(again, plan, places, listener) == 31.5


def test_the_machine_is_that_of_the_base_image(plan: ImagePlan, places: Places) -> None:
    if shutil.which(PC.program) is None:
        missing(PC.program)

    assert require_machine(plan, places) is PC


def test_an_image_on_another_maker_s_base_is_not_tried(plan: ImagePlan, places: Places) -> None:
    record = places.bases / "cardshop-amd64.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"recipe": ""}))

    assert require_machine(plan, places) is None
