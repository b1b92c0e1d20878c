"""What the portal says, in the languages that it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.languages import named


@dataclass(frozen=True)
class Words:
    """The portal's sentences in one language."""

    language: str  # BCP 47
    welcome: str
    search: str  # label of the field
    find: str  # its button
    search_language: str  # label of the choice of the language
    every_language: str
    results: str  # heading
    searching: str
    found: str  # {count}
    nothing_found: str
    search_failed: str
    contents: str  # heading
    starting: str  # while the contents can't be read yet
    units: tuple[str, ...]  # of 1, 10^3, 10^6, 10^9, 10^12 bytes
    decimal_mark: str

    def size(self, count: int) -> str:
        """A number of bytes as people read it: ``1.2 GB``."""
        power, unit = 0, 1
        while count >= 1000 * unit and power < len(self.units) - 1:
            power, unit = power + 1, unit * 1000
        digits = 0 if power == 0 or count >= 100 * unit else 1
        number = f"{count / unit:.{digits}f}".removesuffix(".0").replace(".", self.decimal_mark)
        return f"{number}\N{NO-BREAK SPACE}{self.units[power]}"


ENGLISH = Words(
    language="en",
    welcome="You can read everything here without the internet.",
    search="Search in all contents",
    find="Search",
    search_language="Language",
    every_language="All languages",
    results="Results",
    searching="Searching \N{HORIZONTAL ELLIPSIS}",
    found="Pages found: {count}",
    nothing_found="Nothing was found. Try another word, or fewer words.",
    search_failed="The search did not answer. Please try again.",
    contents="Contents",
    starting="The library is just starting. This page tries again by itself.",
    units=("B", "kB", "MB", "GB", "TB"),
    decimal_mark=".",
)

FRENCH = Words(
    language="fr",
    welcome="Vous pouvez tout lire ici sans internet.",
    search="Chercher dans tous les contenus",
    find="Chercher",
    search_language="Langue",
    every_language="Toutes les langues",
    results="Résultats",
    searching="Recherche en cours \N{HORIZONTAL ELLIPSIS}",
    found="Pages trouvées\N{NO-BREAK SPACE}: {count}",
    nothing_found="Rien n'a été trouvé. Essayez un autre mot, ou moins de mots.",
    search_failed="La recherche n'a pas répondu. Veuillez réessayer.",
    contents="Contenus",
    starting="La bibliothèque démarre. Cette page réessaie toute seule.",
    units=("o", "ko", "Mo", "Go", "To"),
    decimal_mark=",",
)

SPANISH = Words(
    language="es",
    welcome="Aquí puede leer todo sin internet.",
    search="Buscar en todos los contenidos",
    find="Buscar",
    search_language="Idioma",
    every_language="Todos los idiomas",
    results="Resultados",
    searching="Buscando \N{HORIZONTAL ELLIPSIS}",
    found="Páginas encontradas: {count}",
    nothing_found="No se encontró nada. Pruebe con otra palabra, o con menos palabras.",
    search_failed="La búsqueda no respondió. Inténtelo de nuevo.",
    contents="Contenidos",
    starting="La biblioteca está arrancando. Esta página lo intenta de nuevo por sí sola.",
    units=("B", "kB", "MB", "GB", "TB"),
    decimal_mark=",",
)

PORTUGUESE = Words(
    language="pt",
    welcome="Aqui você pode ler tudo sem internet.",
    search="Pesquisar em todos os conteúdos",
    find="Pesquisar",
    search_language="Idioma",
    every_language="Todos os idiomas",
    results="Resultados",
    searching="Pesquisando \N{HORIZONTAL ELLIPSIS}",
    found="Páginas encontradas: {count}",
    nothing_found="Nada foi encontrado. Tente outra palavra, ou menos palavras.",
    search_failed="A pesquisa não respondeu. Tente de novo.",
    contents="Conteúdos",
    starting="A biblioteca está iniciando. Esta página tenta de novo sozinha.",
    units=("B", "kB", "MB", "GB", "TB"),
    decimal_mark=",",
)

GERMAN = Words(
    language="de",
    welcome="Hier können Sie alles ohne Internet lesen.",
    search="In allen Inhalten suchen",
    find="Suchen",
    search_language="Sprache",
    every_language="Alle Sprachen",
    results="Ergebnisse",
    searching="Suche läuft \N{HORIZONTAL ELLIPSIS}",
    found="Gefundene Seiten: {count}",
    nothing_found="Nichts gefunden. Versuchen Sie es mit einem anderen Wort oder mit weniger Wörtern.",
    search_failed="Die Suche hat nicht geantwortet. Bitte noch einmal versuchen.",
    contents="Inhalte",
    starting="Die Bibliothek startet gerade. Diese Seite versucht es von selbst wieder.",
    units=("B", "kB", "MB", "GB", "TB"),
    decimal_mark=",",
)

_SPOKEN = {words.language: words for words in (ENGLISH, FRENCH, SPANISH, PORTUGUESE, GERMAN)}


def words_in(language: str) -> Words:
    """The words in a recipe's language (ISO 639, two or three letters); English where there are none."""
    return _SPOKEN.get(named(language).short, ENGLISH)
