"""What became of the orders: lost, doubled, stuck, or as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.shop import Placed
from tests.chaos.technician import Seen

FINAL = frozenset({"succeeded", "failed", "canceled", "timed-out"})


@dataclass
class Verdict:
    """Counts, with a sentence for each thing that is wrong."""

    orders: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.stuck)

    @property
    def line(self) -> str:
        """The last line of a run."""
        counts = {"lost": self.lost, "doubled": self.doubled, "stuck": self.stuck}
        return ", ".join(
            [f"{self.orders} orders", *(f"{len(found)} {name}" for name, found in counts.items())]
        )


@dataclass(frozen=True)
class Post:
    """What became of the mails.

    Attributes:
        arrived: the ``Message-ID`` of each that the mail server took.
        sent: how many the shop says are sent.
        uncertain: how many it doesn't know of, since their sender was killed: a person decides.
        unsent: how many are failed, or still on their way.
    """

    arrived: Sequence[str] = ()
    sent: int = 0
    uncertain: int = 0
    unsent: int = 0


def settled(order: dict[str, Any], placed: Placed) -> bool:
    """Whether the order and all its tasks are at an end that they stay in."""
    if not all(task["state"] in FINAL for task in order["tasks"]):
        return False
    return order["state"] in ({"canceled"} if placed.wish.cancel_after is not None else {"written", "failed"})


def judge(
    placed: Sequence[Placed],
    orders: Sequence[dict[str, Any]],
    seen: Sequence[Seen],
    *,
    wished: int,
    dead_letters: Sequence[dict[str, Any]],
    post: Post,
) -> Verdict:
    """The verdict.

    Args:
        placed: the orders that the shop accepted.
        wished: how many it was asked for; those that it hasn't accepted yet are stuck.
        orders: all that it tells of now, with their tasks.
        seen: every card that was told good, and every other one that holds an image.
        dead_letters: messages that nobody could do anything with.
        post: what became of the mails.
    """
    verdict = Verdict(wished)
    verdict.stuck += ["an order: not accepted yet"] * (wished - len(placed))
    told = {order["id"]: order for order in orders}
    expected: Counter[str] = Counter()
    for one in placed:
        order = told.get(one.order_id)
        if order is None:
            verdict.lost.append(f"order {one.wish.number} ({one.order_id}): accepted, and unknown now")
        else:
            _judge_order(verdict, one, order, seen)
            # A card that was done at the moment of the cancel is whole, and its unit canceled.
            canceled = order["state"] == "canceled"
            expected[order["image_digest"]] += one.wish.cards if canceled else len(_written(order))
    verdict.doubled += [
        f"order {order_id}: nobody asked for it"
        for order_id in told.keys() - {one.order_id for one in placed}
    ]
    _judge_cards(verdict, expected, seen)
    verdict.lost += [f"dead letter: {letter}" for letter in dead_letters]
    _judge_post(verdict, post)
    return verdict


def _judge_order(verdict: Verdict, one: Placed, order: dict[str, Any], seen: Sequence[Seen]) -> None:
    name = f"order {one.wish.number} ({order['id']})"
    if not settled(order, one):
        tasks = ", ".join(f"{task['kind']} {task['unit']} {task['state']}" for task in order["tasks"])
        verdict.stuck.append(f"{name}: {order['state']} ({tasks})")
        return
    if order["state"] == "failed":
        verdict.lost.append(f"{name}: failed ({order['failure']})")
        return
    whole = {card.serial for card in seen if card.whole and card.digest == order["image_digest"]}
    serials = [task["outcome"]["card"]["serial"] for task in _written(order)]
    if order["state"] == "written" and len(serials) != one.wish.cards:
        verdict.lost.append(f"{name}: {len(serials)} cards instead of {one.wish.cards}")
    verdict.lost += [f"{name}: card {serial} is not whole" for serial in serials if serial not in whole]


def _judge_post(verdict: Verdict, post: Post) -> None:
    arrived = Counter(post.arrived)
    verdict.doubled += [f"mail {mail}: came {count} times" for mail, count in arrived.items() if count > 1]
    if len(arrived) < post.sent:
        verdict.lost.append(f"{len(arrived)} mails arrived, and {post.sent} are told to be sent")
    if len(arrived) > post.sent + post.uncertain:
        verdict.doubled.append(f"{len(arrived)} mails arrived, and only {post.sent} are told to be sent")
    if post.unsent:
        verdict.stuck.append(f"{post.unsent} mails: not sent")


def _judge_cards(verdict: Verdict, expected: Counter[str], seen: Sequence[Seen]) -> None:
    written = Counter(card.digest for card in seen if card.whole)
    for digest, count in written.items():
        if count > expected[digest]:
            verdict.doubled.append(f"image {digest}: on {count} cards instead of {expected[digest]}")
    serials = Counter(card.serial for card in seen)
    verdict.doubled += [
        f"card {serial}: used {count} times" for serial, count in serials.items() if count > 1
    ]


def _written(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for task in order["tasks"] if task["kind"] == "write" and task["state"] == "succeeded"]
