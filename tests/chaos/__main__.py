"""The door: ``python -m tests.chaos --seed N --orders N``. Needs root, for the workers' networks."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from cardshop import logs
from tests.chaos.run import Run, run


def main() -> int:
    """Does what the command line says; 0 only when nothing is lost, doubled or stuck."""
    arguments = _parser().parse_args()
    console = Console(highlight=False)
    if os.geteuid() != 0:
        console.print("The chaos needs root: it makes a network for each worker. Run: sudo make chaos")
        return 2
    logs.set_up("chaos", "ERROR")
    began = time.monotonic()

    def tell(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:7.1f} s[/]  {what}", soft_wrap=True)

    verdict = run(
        Run(
            arguments.seed,
            arguments.orders,
            arguments.folder.resolve(),
            tell,
            arguments.moments,
            arguments.content_mb * 10**6,
        )
    )
    for kind, sentences in (
        ("lost", verdict.lost),
        ("doubled", verdict.doubled),
        ("stuck", verdict.stuck),
    ):
        for sentence in sentences:
            console.print(f"{kind}: {sentence}", markup=False, soft_wrap=True)
    if not verdict.good:
        console.print(f"The logs are in {arguments.folder / 'stack' / 'logs'}", soft_wrap=True)
    console.print(verdict.line)
    return 0 if verdict.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the orders (default: 1)")
    parser.add_argument("--orders", type=int, default=200, help="how many (default: 200)")
    parser.add_argument(
        "--moments",
        type=int,
        default=0,
        help="so many faults, each while a card is being made, at its writer, the broker or the warehouse",
    )
    parser.add_argument("--content-mb", type=int, default=0, help="of each image (default: almost nothing)")
    parser.add_argument(
        "--folder", type=Path, default=Path("var/chaos"), help="emptied first (default: var/chaos)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
