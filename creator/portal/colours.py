"""Colours of a portal: what is written on a colour must be readable (WCAG 2.1: 4.5 to 1)."""

from __future__ import annotations

DARK, LIGHT = "#1c2329", "#ffffff"
READABLE = 4.5
"""Contrast of a text and what it is written on."""


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black and white), of two colours ``#rrggbb``."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def text_on(ground: str) -> str:
    """The better of dark and light for a text on ``ground``; pure black where neither can be read."""
    best = max((DARK, LIGHT), key=lambda text: contrast(text, ground))
    return best if contrast(best, ground) >= READABLE else "#000000"


def style_of(main: str | None, background: str | None) -> str:
    """A style sheet that gives the portal these colours, in daylight and at night."""
    rules: dict[str, str] = {}
    if main:
        rules |= {"--accent": main, "--on-accent": text_on(main)}
    if background:
        text = text_on(background)
        link = main if main and contrast(main, background) >= READABLE else text
        rules |= {"--ground": background, "--text": text, "--soft": text, "--line": text, "--link": link}
    return f":root {{ {'; '.join(f'{name}: {value}' for name, value in rules.items())} }}\n" if rules else ""


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
