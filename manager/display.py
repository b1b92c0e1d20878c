"""How facts read on a page: sizes, times, states and phases in people's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from cardshop.contract.events import Phase
from cardshop.languages import LANGUAGES

UNITS = ("B", "kB", "MB", "GB", "TB")
"""Decimal, as the labels of cards are."""

NOTHING = "\N{EN DASH}"
"""Where there is nothing to tell yet."""

TONES = {
    "accepted": "calm",
    "building": "busy",
    "built": "busy",
    "writing": "busy",
    "written": "good",
    "shipped": "good",
    "failed": "bad",
    "canceled": "off",
    "pending": "off",
    "queued": "calm",
    "received": "busy",
    "started": "busy",
    "waiting-for-card": "ask",
    "stopping": "off",
    "succeeded": "good",
    "timed-out": "bad",
    "online": "good",
    "running": "busy",
    "good": "good",
    "skipped": "off",
    "silent": "bad",
    "offline": "off",
    "kept": "good",
    "deleted": "off",
    "open": "bad",
    "ended": "off",
    "handing-over": "busy",
    "sent": "good",
    "uncertain": "ask",
    "dismissed": "off",
    "waiting": "ask",
    "replayed": "good",
    "discarded": "off",
}
"""The colour of a state; what it says is always written beside it."""

PHASES = {
    Phase.CLAIM: "Getting ready",
    Phase.FETCH: "Fetching the contents",
    Phase.BUILD: "Building the image",
    Phase.CHECK: "Checking",  # an image, or whether a card holds what it says
    Phase.BOOT: "Starting the image in a virtual machine",
    Phase.UPLOAD: "Uploading to the warehouse",
    Phase.DOWNLOAD: "Downloading the image",
    Phase.WAIT: "Waiting for a card",
    Phase.WRITE: "Writing",
    Phase.READ_BACK: "Reading back",
}


def size(count: float | None) -> str:
    """Bytes for people: ``1.4 GB``."""
    if count is None:
        return NOTHING
    number = float(count)
    for unit in UNITS:
        if number < 999.5 or unit == UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.1f} {unit}"


def duration(seconds: float) -> str:
    """A length of time for people: ``2 min 5 s``."""
    whole = round(seconds)
    if whole < 1:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago ``moment`` was: ``3 min ago``; from a week on the date."""
    seconds = (now - moment).total_seconds()
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h ago"
    if seconds < 7 * 86400:
        return f"{seconds // 86400:.0f} d ago"
    return f"{moment.day} {moment:%b %Y}"


def ahead(moment: datetime, now: datetime) -> str:
    """How far ahead ``moment`` is: ``in about 35 min``; rough, since it is an estimate."""
    minutes = (moment - now).total_seconds() / 60
    if minutes < 1.5:
        return "in about a minute"
    if minutes < 60:
        return f"in about {minutes:.0f} min"
    if minutes < 48 * 60:
        hours, rest = divmod(round(minutes / 10) * 10, 60)
        return f"in about {hours} h {rest} min" if rest and hours < 6 else f"in about {minutes / 60:.0f} h"
    return f"in about {minutes / 60 / 24:.0f} days"


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``11th``."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"


def state_name(state: str) -> str:
    """``timed-out`` as people read it."""
    return state.replace("-", " ").capitalize()


def language_name(code: str) -> str:
    """A language by its own name."""
    return next((language.name for language in LANGUAGES if language.short == code), code)


def moment(text: str) -> str:
    """A point in time, past or to come, in UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def phase_name(phase: str) -> str:
    """What a task is doing, in words."""
    return PHASES[Phase(phase)] if phase in set(Phase) else phase.replace("-", " ").capitalize()


def by_phase(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    """Times by phase, in the order in which a task goes through them."""
    order = {phase.value: place for place, phase in enumerate(Phase)}
    return sorted(seconds.items(), key=lambda pair: order.get(pair[0], len(order)))


def teach(app: Flask, now: Callable[[], datetime]) -> None:
    """Gives the templates these words. ``now`` is the clock, in UTC."""

    def when(text: str | None) -> Markup:
        if not text:
            return escape(NOTHING)
        moment = datetime.fromisoformat(text).astimezone(UTC)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            text, f"{moment:%Y-%m-%d %H:%M:%S} UTC", ago(moment, now())
        )

    def due(text: str) -> Markup:
        moment = datetime.fromisoformat(text).astimezone(UTC)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            text, f"{moment:%Y-%m-%d %H:%M} UTC", ahead(moment, now())
        )

    def indented(value: Any) -> str:
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)

    app.jinja_env.filters.update(
        by_phase=by_phase,
        size=size,
        duration=duration,
        when=when,
        due=due,
        ordinal=ordinal,
        state_name=state_name,
        language_name=language_name,
        moment=moment,
        phase_name=phase_name,
        indented=indented,
    )
    app.jinja_env.globals.update(tones=TONES)
