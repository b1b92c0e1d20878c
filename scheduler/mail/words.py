"""Puts words to a mail's facts, in its reader's language.

For each kind ``texts/<language>.toml`` has a ``subject``, a ``text`` (paragraphs between empty lines) and,
where something is to be done on a page, a ``link``. They are Jinja2 templates over the mail's facts; HTML has
the facts escaped.
"""

from __future__ import annotations

import functools
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, UndefinedError
from markupsafe import Markup

from scheduler.domain.mails import LANGUAGES, Mail, MailKind, Words

HERE = Path(__file__).parent
WIDTH = 76
"""Longest line of a plain text, as mails are read."""

_HTML = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PLAIN = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=False,  # noqa: S701 - the plain text part: there is nothing to escape for
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def words_of(mail: Mail, pages_url: str) -> Words:
    """The mail as its reader gets it.

    Args:
        mail: its facts.
        pages_url: address of the manager's pages, for links; empty: no links.
    """
    shared = texts(mail.reader.language)["shared"]
    told = texts(mail.reader.language)[mail.kind.value]
    facts = _facts(mail)
    path = mail.facts.get("path", "")
    frame = {
        "language": mail.reader.language,
        "shared": shared,
        "subject": subject_of(mail),
        "link": _filled(_PLAIN, told.get("link", ""), facts) if pages_url and path else "",
        "url": pages_url.rstrip("/") + path,
    }
    html = _HTML.get_template("mail.html").render(
        frame,
        paragraphs=[Markup(part) for part in _paragraphs(_filled(_HTML, told["text"], facts))],  # noqa: S704 - escaped when it was filled
    )
    plain = [textwrap.fill(part, WIDTH) for part in _paragraphs(_filled(_PLAIN, told["text"], facts))]
    text = _PLAIN.get_template("mail.txt").render(frame, paragraphs=plain)
    return Words(frame["subject"], text, html)


def subject_of(mail: Mail) -> str:
    """The mail's subject: one line; its kind when a fact is missing: a list shows it all the same."""
    told = texts(mail.reader.language)[mail.kind.value]["subject"]
    try:
        return " ".join(_filled(_PLAIN, told, _facts(mail)).split())
    except (UndefinedError, KeyError):
        return mail.kind.value


@functools.cache
def texts(language: str) -> Mapping[str, Mapping[str, str]]:
    """All texts of a language."""
    return tomllib.loads((HERE / "texts" / f"{language}.toml").read_text())


def _facts(mail: Mail) -> dict[str, Any]:
    facts = dict(mail.facts)
    if mail.kind in (MailKind.ALARM_RAISED, MailKind.ALARM_ENDED):
        # A kind of alarm that nobody translated yet is told as the shop tells it: better than no mail.
        name = texts(mail.reader.language)["alarms"].get(facts["alarm"], "{{ subject }}: {{ alarm }}")
        facts["what"] = _filled(_PLAIN, name, facts)
    return facts


def _filled(environment: Environment, source: str, facts: Mapping[str, Any]) -> str:
    return _template(environment, source).render(facts)


@functools.cache
def _template(environment: Environment, source: str) -> Template:
    return environment.from_string(source)


def _paragraphs(filled: str) -> list[str]:
    return [" ".join(part.split()) for part in filled.split("\n\n") if part.strip()]


def prepare() -> None:
    """Reads every text and template: a broken one is told at start, and not when a mail is due."""
    for language in LANGUAGES:
        for section in texts(language).values():
            for source in section.values():
                _template(_HTML, source)
                _template(_PLAIN, source)
    for name in ("mail.html", "mail.txt"):
        _HTML.get_template(name)
