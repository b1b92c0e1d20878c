"""Cards that fail as real ones do: each gets the right verdict, and the task the right next state.

The cards are loop devices over a small FUSE file system (``tests/failing_cards.py``). What the writer says
and does is a row of the table in ``docs/cards.md``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardshop.contract.events import CardWritten, Phase
from tests.cards import (
    CARD_BYTES,
    IMAGE_BYTES,
    MIB,
    Bench,
    Listener,
    Waited,
    looks_bootable,
    need_loop_devices,
    wrong_pieces,
)
from tests.failing_cards import Emulated, Fault, emulated_card
from tests.returned_cards import chunks_in_common, returned_card, rewrite
from tests.written_cards import build_zim_image
from writer.history import LEAST_CARDS
from writer.ledger import Ledger
from writer.slots import DeviceSlot

DEAD = Fault(dies_after=0)
GUIDE = Path(__file__).parents[2] / "docs" / "cards.md"
ROWS: dict[str, str] = {}
"""What each test saw."""

ROWS_IN_THE_TABLE = 14


@pytest.fixture(autouse=True)
def _as_root() -> None:
    need_loop_devices()


@dataclass(frozen=True)
class Reader:
    """A reader with a card in it, and a writer."""

    folder: Path
    place: Path  # as /dev/disk/by-path: a link that is there while the reader sees the card
    card: Emulated
    bench: Bench

    def outcome(self) -> str:
        """Whether the card was written, or what is asked for; the word that the table has for it."""

        def stop() -> None:
            raise Waited

        self.bench.while_waiting = stop
        try:
            self.bench.write()
        except Waited:
            return "waiting-for-card"
        return "succeeded"

    def when(self, phase: Phase, act: Callable[[], object]) -> None:
        """Does something once, in the middle of a phase."""
        acted: list[Phase] = []

        def progress(now: Phase, _done: int, _total: int) -> None:
            if now == phase and not acted:
                acted.append(now)
                act()

        self.bench.listener.on_progress = progress

    def before_the_image(self, act: Callable[[], object]) -> None:
        """Does something once, before the image's first byte."""
        acted: list[Phase] = []

        def progress(now: Phase, done: int, total: int) -> None:
            if (now, done) == (Phase.CHECK, total) and not acted:
                acted.append(now)
                act()

        self.bench.listener.on_progress = progress

    def pull_out(self) -> None:
        """As udev and the kernel show it: the link is gone, and nothing of the card can be used any more."""
        self.place.unlink()
        self.card.fail(DEAD)

    def exchange(self, card: Emulated) -> None:
        """Another card in the same reader."""
        self.pull_out()
        self.place.symlink_to(card.device)


@contextmanager
def reader(folder: Path, fault: Fault, *options: str, patience_seconds: float = 45.0) -> Iterator[Reader]:
    with emulated_card(folder / "memory", folder / "reader", fault, *options) as card:
        place = folder / "by-path"
        place.symlink_to(card.device)
        slot = DeviceSlot("A", place, str(card.file))
        yield Reader(folder, place, card, Bench(folder, slot, patience_seconds))


def seen(kind: str, inside: Reader, outcome: str, says: str = "", other: str = "") -> None:
    """Keeps the row of the table; ``other`` says whose mark it is when the card is no longer in the slot."""
    inserted = inside.bench.place.slot.inserted()
    record = inside.bench.place.ledger.record_of(inserted.card) if inserted else None
    verdict = record.verdict if record else "none"
    if record and record.verdict == "good" and record.why:
        verdict = "good, slow"
    ROWS[kind] = f"| {kind} | {says or '—'} | {other}{verdict} | `{outcome}` |"


def speeds_of(cards: Sequence[CardWritten]) -> Iterator[int]:
    """Bytes a second at which they were written and read back."""
    for card in cards:
        for speed in (card.write_speed, card.read_speed):
            assert speed is not None
            yield speed.median


def said(inside: Reader, beginning: str) -> str:
    """The line of the task's log that begins so."""
    return next(line for line in inside.bench.listener.lines if line.startswith(beginning))


def test_a_slow_card_is_written(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(seconds_per_mib=0.05)) as inside:
        outcome = inside.outcome()

        seen("slow (20 MB/s)", inside, outcome)
    assert outcome == "succeeded"
    assert wrong_pieces(inside.card.memory, inside.bench.manifest) == []


def test_a_card_that_is_much_slower_than_others_of_its_kind_is_good_and_told(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(seconds_per_mib=0.02)) as inside:
        usual = []
        for card in range(LEAST_CARDS):
            usual.append(inside.bench.write(f"task-{card}"))
            inside.bench.place.ledger.forget_all_but(None)
        # A busy host makes cards slow too: a fifth of what they came to here, not of what they could.
        inside.card.fail(Fault(seconds_per_mib=5 * MIB / min(speeds_of(usual))))
        written = inside.bench.write("task-slow")

        sentence = written.note.partition(":")[0]
        seen("a fifth as fast as others of its model", inside, "succeeded", f"{sentence}.")
        asked = inside.bench.why_not("task-next")
    assert sentence == "The card is much slower than its kind"
    assert asked.startswith("Take the written card sample out of slot A")
    assert asked.endswith(written.note)
    assert wrong_pieces(inside.card.memory, inside.bench.manifest) == []


@pytest.mark.parametrize("at", [9 * MIB + 700, 20 * MIB, IMAGE_BYTES - 1])
def test_an_error_at_one_place_is_told_with_its_sector(tmp_path: Path, at: int) -> None:
    with reader(tmp_path, Fault(bad_at=at)) as inside:
        outcome = inside.outcome()

        line = said(inside, "The card sample does not take")
        if at == 20 * MIB:
            seen("error at one sector", inside, outcome, line)
    assert outcome == "waiting-for-card"
    assert f"(sector {at // 512})" in line
    assert not looks_bootable(inside.card.memory)


def test_a_passing_error_is_survived(tmp_path: Path) -> None:
    with reader(tmp_path, Fault()) as inside:
        inside.before_the_image(lambda: inside.card.fail(Fault(fails_requests=3)))
        outcome = inside.outcome()

        line = said(inside, "1 request(s)")
        seen("three requests fail, then all is well", inside, outcome, line)
    assert outcome == "succeeded"
    assert wrong_pieces(inside.card.memory, inside.bench.manifest) == []


def test_a_card_that_dies_is_marked(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(dies_after=8 * MIB)) as inside:
        outcome = inside.outcome()

        line = said(inside, "The card sample does not take")
        # Several requests are under way when it dies; which of them is told depends on which is first.
        says = re.sub(r"at \d+ \(sector \d+\)", "at …", line)
        seen("dies after 8 MiB", inside, outcome, says)
    assert outcome == "waiting-for-card"


def test_a_read_only_card_is_untouched_and_asked_to_be_unlocked(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(), "--read-only") as inside:
        outcome = inside.outcome()

        seen("read-only", inside, outcome, inside.bench.listener.waits[-1])
    assert outcome == "waiting-for-card"
    assert "is read-only" in inside.bench.listener.waits[-1]
    assert inside.card.memory.read_bytes() == b"\xff" * CARD_BYTES


def test_a_counterfeit_that_begins_again_at_half_its_size_is_found_before_the_image_is_written(
    tmp_path: Path,
) -> None:
    with reader(tmp_path, Fault(holds=CARD_BYTES // 2, wraps=True)) as inside:
        outcome = inside.outcome()

        line = said(inside, "The card sample says")
        seen("begins again at half its size (counterfeit)", inside, outcome, line)
    assert outcome == "waiting-for-card"
    assert f"holds about {CARD_BYTES // 2}: a counterfeit" in line
    assert not [told for told in inside.bench.listener.told if told[0] == Phase.WRITE]


def test_a_counterfeit_that_begins_again_anywhere_is_found_by_the_read_back(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(holds=23 * MIB + 8192, wraps=True)) as inside:
        outcome = inside.outcome()

        line = said(inside, "The card sample gives back other bytes than were written")
        # Which of two places loses depends on which is written first.
        seen("begins again elsewhere (counterfeit)", inside, outcome, f"{line.partition(', between')[0]}.")
    assert outcome == "waiting-for-card"
    assert line
    assert not looks_bootable(inside.card.memory)


def test_a_card_that_is_smaller_than_it_says_is_found_before_the_image_is_written(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(holds=23 * MIB + 4096)) as inside:
        outcome = inside.outcome()

        line = said(inside, "The card sample says")
        seen("smaller than it says, and loses the rest", inside, outcome, line)
    assert outcome == "waiting-for-card"
    holds = int(line.split("holds about ")[1].split(":")[0])
    assert abs(holds - 23 * MIB) <= MIB
    assert not [told for told in inside.bench.listener.told if told[0] == Phase.WRITE]


@pytest.mark.parametrize("phase", [Phase.WRITE, Phase.READ_BACK])
def test_a_card_that_is_pulled_out_in_the_middle_is_not_blamed(tmp_path: Path, phase: Phase) -> None:
    with reader(tmp_path, Fault()) as inside:
        inside.when(phase, inside.pull_out)
        outcome = inside.outcome()

        seen("pulled out in the middle", inside, outcome, said(inside, "The card sample was"))
    assert outcome == "waiting-for-card"
    assert inside.bench.listener.waits[-1].startswith("Put a 8 GB card")
    assert not looks_bootable(inside.card.memory)


@pytest.mark.parametrize("phase", [Phase.WRITE, Phase.READ_BACK])
def test_a_card_that_is_exchanged_in_the_middle_is_not_continued_on_the_other(
    tmp_path: Path, phase: Phase
) -> None:
    """The other card gets the whole image, from its first byte; the first one never looks finished."""
    with (
        reader(tmp_path, Fault()) as inside,
        emulated_card(tmp_path / "memory-2", tmp_path / "reader", Fault()) as other,
    ):
        inside.when(phase, lambda: inside.exchange(other))
        inside.bench.while_waiting = lambda: time.sleep(0.1)
        written = inside.bench.write()

        seen(
            "exchanged for another in the middle",
            inside,
            "succeeded",
            said(inside, "The card sample was"),
            "none; the other: ",
        )
    assert written.card.size_bytes == CARD_BYTES
    assert wrong_pieces(other.memory, inside.bench.manifest) == []
    assert not looks_bootable(inside.card.memory)


def test_a_card_that_is_stuck_holds_nobody_up_and_is_marked_when_it_answers_again(tmp_path: Path) -> None:
    with reader(tmp_path, Fault(stuck_at=6 * MIB), patience_seconds=10.0) as inside:
        outcome = inside.outcome()  # while it is stuck
        hangs = inside.bench.listener.waits[-1]
        still = inside.bench.why_not()

        inside.card.fail(Fault())
        inside.bench.listener = Listener()
        end = time.monotonic() + 200
        while (after := inside.bench.why_not()) == hangs:
            assert time.monotonic() < end
            time.sleep(0.2)
        seen("stuck", inside, outcome, hangs)
    assert outcome == "waiting-for-card"
    assert hangs == still == "The reader of slot A hangs. Unplug it, and plug it in again."
    assert after.startswith("Take the failed card")


def test_a_card_that_comes_back_is_rewritten_whether_or_not_its_manifest_is_true(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """These are virtual: what differs is what they hold."""
    editions = [build_zim_image(tmp_path_factory.mktemp("image"), title) for title in ("First", "Second")]
    for kind in ("comes back with another image", "comes back, and its manifest lies"):
        folder = tmp_path_factory.mktemp("returned")
        card = returned_card(folder, editions[0])
        if kind.endswith("lies"):
            chunk = max(chunks_in_common(*editions), key=lambda chunk: chunk.offset)
            card.flip(chunk.offset + 5, 1)
        listener = Listener()

        written = rewrite(folder, editions[1], listener)

        kept = next(line for line in listener.lines if "were on the card already" in line)
        says = f"… {kept.partition(' ')[2]}"
        verdict = Ledger(folder / "state").record_of(written.card)
        assert verdict is not None
        assert card.check().verdict == "good"
        ROWS[kind] = f"| {kind} | {says} | {verdict.verdict} | `succeeded` |"


def test_the_table_in_the_guide_is_what_was_seen() -> None:
    if len(ROWS) < ROWS_IN_THE_TABLE:
        pytest.skip("not all tests of this module ran")

    table = "\n".join(ROWS.values())

    assert table in GUIDE.read_text(), f"docs/cards.md must have this table:\n{table}"
