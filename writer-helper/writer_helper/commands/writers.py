"""``writer-helper start | stop | status | logs``: the writers of this host."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cardshop.contract.errors import InvalidInput
from cardshop.sizes import size_said
from cardshop.writer_host import WriterHost
from writer_helper.commands.desk import Desk
from writer_helper.overview import SlotView, overview
from writer_helper.runners import Runner, WriterState, runner_for

if TYPE_CHECKING:
    from writer_helper.commands.desk import Subparsers


def add(commands: Subparsers, shared: argparse.ArgumentParser) -> None:
    """Adds the commands."""
    start = commands.add_parser(
        "start",
        parents=[shared],
        help="start the writers that don't run",
        description="Starts a writer for each slot named, or for all; one that runs already is left alone.",
    )
    start.add_argument("slots", nargs="*", metavar="SLOT", help="default: all")
    start.set_defaults(run=_start)
    stop = commands.add_parser(
        "stop",
        parents=[shared],
        help="stop writers; a card in the making goes back to the queue",
        description="Stops the writers of the slots named, or all of this host that writer-helper started.",
    )
    stop.add_argument("slots", nargs="*", metavar="SLOT", help="default: all")
    stop.set_defaults(run=_stop)
    update = commands.add_parser(
        "update",
        parents=[shared],
        help="run the newest version of the writer",
        description="Fetches the writer's image (docker) or takes the writer that is installed now, and "
        "starts those writers again that run an older one.",
    )
    update.set_defaults(run=_update)
    status = commands.add_parser("status", parents=[shared], help="show each slot, its card and its writer")
    status.set_defaults(run=_status)
    logs = commands.add_parser("logs", parents=[shared], help="show what a writer logged")
    logs.add_argument("slot", metavar="SLOT")
    logs.add_argument("--lines", type=int, default=50, help="how many (default: %(default)s)")
    logs.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    logs.set_defaults(run=_logs)


def _start(desk: Desk, arguments: argparse.Namespace) -> None:
    host, runner = _runner(desk)
    names = arguments.slots or [slot.name for slot in host.slots]
    if not names:
        raise InvalidInput(
            "There is no slot yet.", hint="Add one: writer-helper configure slot", field="slots"
        )
    slots = [host.slot(name) for name in names]
    for slot in slots:
        host.variables(slot.name)  # all or none: nothing is started while one of them can't be
    for slot in slots:
        runner.start(slot)
    desk.say(f"{_writers(names)} running.", running=names)


def _stop(desk: Desk, arguments: argparse.Namespace) -> None:
    _host, runner = _runner(desk)
    names = arguments.slots or runner.known()
    for name in names:
        runner.stop(name)
    desk.say(f"{_writers(names)} stopped." if names else "No writer of ours was running.", stopped=names)


def _update(desk: Desk, _arguments: argparse.Namespace) -> None:
    _host, runner = _runner(desk)
    names = runner.update()
    desk.say(f"{_writers(names)} started again." if names else "All are up to date.", updated=names)


def _status(desk: Desk, _arguments: argparse.Namespace) -> int:
    host, runner = _runner(desk)
    views = overview(host.slots)
    states = {name: runner.state(name) for name in {slot.name for slot in host.slots} | set(runner.known())}
    rows = [_row(view, states[view.name]) for view in views if view.slot]
    orphans = sorted(set(states) - {slot.name for slot in host.slots})
    rows += [(name, "not in the configuration any more", "", *_said(states[name])) for name in orphans]
    facts = [_state_facts(view, states[view.name]) for view in views if view.slot]
    desk.table(("slot", "place", "card", "writer", "since", "at boot"), rows, facts)
    return 0 if all(states[slot.name].running for slot in host.slots) else 1


def _logs(desk: Desk, arguments: argparse.Namespace) -> None:
    host, runner = _runner(desk)
    host.slot(arguments.slot)
    for line in runner.logs(arguments.slot, arguments.lines, follow=arguments.follow):
        desk.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _runner(desk: Desk) -> tuple[WriterHost, Runner]:
    host = desk.configuration.read()
    return host, runner_for(host, desk.configuration.path)


def _writers(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"The writer of slot {names[0]} is"
    return f"The writers of slots {', '.join(names)} are"


def _row(view: SlotView, state: WriterState) -> tuple[str, ...]:
    place = view.place.name if view.place else view.verdict
    card = (size_said(view.place.card_bytes) or "empty") if view.place else ""
    return (view.name, place, card, *_said(state))


def _said(state: WriterState) -> tuple[str, str, str]:
    since = state.since.astimezone().strftime("%Y-%m-%d %H:%M:%S") if state.since else ""
    return (state.what if state.running else "stopped", since, "yes" if state.at_boot else "no")


def _state_facts(view: SlotView, state: WriterState) -> dict[str, Any]:
    return {
        **view.facts(),
        "running": state.running,
        "writer": state.what,
        "since": state.since.isoformat() if state.since else None,
        "at_boot": state.at_boot,
    }
