"""Languages under their own names: two letters for the card's pages, three for the catalogue's contents.

ISO 639-1 and 639-3. Forms offer these; any other code can be used through the API, and is shown as it is.
"""

from __future__ import annotations

from typing import NamedTuple


class Language(NamedTuple):
    """One language under its own name."""

    short: str  # ISO 639-1
    code: str  # ISO 639-3, as catalogues use it
    name: str


LANGUAGES = (
    Language("am", "amh", "አማርኛ"),
    Language("ar", "ara", "العربية"),
    Language("bn", "ben", "বাংলা"),
    Language("bm", "bam", "Bamanankan"),
    Language("de", "deu", "Deutsch"),
    Language("en", "eng", "English"),
    Language("es", "spa", "Español"),
    Language("fa", "fas", "فارسی"),
    Language("ff", "ful", "Fulfulde"),
    Language("fr", "fra", "Français"),
    Language("ha", "hau", "Hausa"),
    Language("hi", "hin", "हिन्दी"),
    Language("id", "ind", "Bahasa Indonesia"),
    Language("it", "ita", "Italiano"),
    Language("km", "khm", "ភាសាខ្មែរ"),
    Language("mg", "mlg", "Malagasy"),
    Language("my", "mya", "မြန်မာဘာသာ"),
    Language("ne", "nep", "नेपाली"),
    Language("nl", "nld", "Nederlands"),
    Language("pl", "pol", "Polski"),
    Language("ps", "pus", "پښتو"),
    Language("pt", "por", "Português"),
    Language("ru", "rus", "Русский"),
    Language("rw", "kin", "Ikinyarwanda"),
    Language("so", "som", "Soomaali"),
    Language("sw", "swa", "Kiswahili"),
    Language("tr", "tur", "Türkçe"),
    Language("uk", "ukr", "Українська"),
    Language("ur", "urd", "اردو"),
    Language("vi", "vie", "Tiếng Việt"),
    Language("wo", "wol", "Wolof"),
    Language("yo", "yor", "Yorùbá"),
    Language("zh", "zho", "中文"),
    Language("zu", "zul", "isiZulu"),
)

MAIL_LANGUAGES = tuple(language for language in LANGUAGES if language.short in ("en", "fr", "es"))
"""Those that mails are written in."""

_BY_CODE = {code: language for language in LANGUAGES for code in (language.short, language.code)}


def named(code: str) -> Language:
    """The language of a code of two or three letters; one that is not listed has its code for a name."""
    return _BY_CODE.get(code) or Language(code, code, code)
