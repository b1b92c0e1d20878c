"""Recipes: checked against what the shop has, resolved when they are ordered, fitted to a medium."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cardshop.contract.errors import DoesNotFit, InvalidInput
from cardshop.contract.tasks import BaseReference, Content
from cardshop.fit import Fit, forecast
from scheduler.catalogue.web import Web
from scheduler.domain import recipes as rules
from scheduler.domain.catalogue import Entry, FileFacts
from scheduler.domain.media import Medium
from scheduler.domain.offspot import SYSTEM, OffspotRecipe
from scheduler.domain.recipes import AUTO_SIZE, Recipe, ResolvedRecipe
from scheduler.seal import Seal
from scheduler.shop import offspot
from scheduler.shop.catalogue import file_facts
from scheduler.shop.passwords import card_password_hash
from scheduler.store.bases import Base
from scheduler.store.store import Store

METALINKS_AT_ONCE = 8


@dataclass(frozen=True)
class Fitted:
    """How contents lie on a medium."""

    medium: Medium
    fit: Fit


_CARDS_OWN_PAGES = {"portal", "search", "catalog", "skin", "content", "suggest", "random", "viewer", "raw"}
"""Addresses of the portal and of kiwix-serve itself."""


def check_against_shop(store: Store, recipe: Recipe) -> None:
    """Checks that base, size and each content are known here.

    Raises:
        InvalidInput: names the first that isn't, with its field.
    """
    base = _base(store, recipe.base)
    _check_kind(base, recipe)
    if recipe.size != AUTO_SIZE:
        _medium(store, recipe.size, "size")
    _entries(store, recipe.contents)


def fit(store: Store, web: Web, *, contents: Sequence[str], base: str, size: str) -> Fitted:
    """How the contents lie on the medium ``size``, or for ``auto`` on the smallest that holds them.

    When none holds them, the largest shows by how much. Sizes are asked from the contents' metalinks now.

    Raises:
        InvalidInput: an unknown content, one that is there twice, an unknown base or medium.
        MirrorRefused: a content's metalink can't be read.
    """
    rules.check_distinct(contents)
    entries = _entries(store, contents)
    content_bytes = [facts.size_bytes for facts in _facts(web, entries)]
    return _fitted(store, _base(store, base), size, content_bytes, "size")


def fit_recipe(store: Store, web: Web, recipe: Recipe) -> Fitted:
    """As :func:`fit`, of a recipe; one that came as an Offspot YAML has its files' sizes asked."""
    if recipe.offspot is None:
        return fit(store, web, contents=recipe.contents, base=recipe.base, size=recipe.size)
    base = _base(store, recipe.base)
    sizes = _offspot_bytes(base, recipe.offspot, offspot.pinned(web, recipe.offspot))
    return _fitted(store, base, recipe.size, sizes, "size", has_shelf=False)


def resolve(store: Store, web: Web, recipe: Recipe, *, medium: str | None = None) -> ResolvedRecipe:
    """The recipe with everything pinned that may change tomorrow; its secrets stay as they are.

    Args:
        store: the shop.
        web: to fetch the contents' metalinks with.
        recipe: valid by the rules.
        medium: takes the place of the recipe's own size.

    Raises:
        InvalidInput: an unknown content, base or medium.
        MirrorRefused: a content's metalink can't be read.
        DoesNotFit: the contents are larger than the medium; the hint has the table.
    """
    base = _base(store, recipe.base)
    _check_kind(base, recipe)
    if recipe.offspot is None:
        contents = _catalogued(store, web, recipe)
        content_bytes = [content.size_bytes for content in contents]
    else:
        contents = offspot.pinned(web, recipe.offspot)
        content_bytes = _offspot_bytes(base, recipe.offspot, contents)
    field = "medium" if medium else "size"
    has_shelf = recipe.offspot is None
    fitted = _fitted(store, base, medium or recipe.size, content_bytes, field, has_shelf=has_shelf)
    if not fitted.fit.fits:
        raise _does_not_fit(fitted, field)
    return ResolvedRecipe(
        recipe=recipe,
        base=BaseReference(base.name, base.sha256),
        contents=contents,
        medium=fitted.medium.name,
        size_bytes=fitted.medium.size_bytes,
    )


def image_digest(resolved: ResolvedRecipe, seal: Seal) -> str:
    """The name of the image of a resolved recipe whose secrets are sealed."""
    return rules.digest(resolved.with_secrets(seal.open), seal.fingerprint)


def card_configuration(store: Store, resolved: ResolvedRecipe, digest: str, seal: Seal) -> dict[str, Any]:
    """What the card is made of beside its contents, for the creator's claim only: it holds secrets."""

    def hashed(password: str) -> str:
        return card_password_hash(password, seal.fingerprint(f"salt of {digest}"))

    def picture(name: str) -> str:
        return base64.b64encode(store.pictures.get(name)).decode()

    if resolved.recipe.offspot is not None:
        return offspot.configuration(seal.open(resolved.recipe.offspot.document))
    return rules.card_configuration(resolved.with_secrets(seal.open), hashed, picture)


def _catalogued(store: Store, web: Web, recipe: Recipe) -> tuple[Content, ...]:
    entries = _entries(store, recipe.contents)
    facts = _facts(web, entries)
    contents = tuple(_content(entry, file) for entry, file in zip(entries, facts, strict=True))
    _check_file_names(contents)
    return contents


def _offspot_bytes(base: Base, recipe: OffspotRecipe, contents: Sequence[Content]) -> list[int]:
    return [*(content.card_bytes for content in contents), *recipe.inline_bytes, base.data_bytes]


def _check_kind(base: Base, recipe: Recipe) -> None:
    is_offspot = recipe.offspot is not None
    if is_offspot != (base.system == SYSTEM):
        wanted = "an Offspot base" if is_offspot else "a base of Cardshop's own"
        raise InvalidInput(
            f"The base image {base.name} is of the wrong kind for this recipe.",
            hint=f"Choose {wanted}.",
            field="base",
        )


def _base(store: Store, name: str) -> Base:
    base = store.bases.find(name)
    if base is None:
        known = ", ".join(known.name for known in store.bases.every()) or "none yet"
        raise InvalidInput(f"There is no base image {name}.", hint=f"There are: {known}.", field="base")
    return base


def _medium(store: Store, name: str, field: str) -> Medium:
    medium = store.media.find(name)
    if medium is None:
        known = ", ".join(known.name for known in store.media.every())
        raise InvalidInput(f"There is no medium {name}.", hint=f"There are: {known}.", field=field)
    return medium


def _entries(store: Store, idents: Sequence[str]) -> list[Entry]:
    entries = []
    listed = store.catalogue.best_entries(idents)
    for index, ident in enumerate(idents):
        entry = listed.get(ident)
        field = f"contents[{index}]"
        if entry is None:
            raise InvalidInput(
                f"No catalogue lists the content {ident}.",
                hint="Refresh the catalogue, or choose another content.",
                field=field,
            )
        if entry.problem:
            raise InvalidInput(f"The catalogue's entry {ident} is bad: {entry.problem}", field=field)
        entries.append(entry)
    return entries


def _facts(web: Web, entries: Sequence[Entry]) -> list[FileFacts]:
    if len(entries) == 1:
        return [file_facts(web, entries[0])]
    with ThreadPoolExecutor(METALINKS_AT_ONCE) as pool:
        return list(pool.map(lambda entry: file_facts(web, entry), entries))


def _content(entry: Entry, file: FileFacts) -> Content:
    return Content(
        ident=entry.ident,
        title=entry.title,
        language=entry.language,
        file=file.name,
        url=file.urls[0],
        mirrors=file.urls[1:],
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        metalink=file.metalink,
    )


def _check_file_names(contents: Sequence[Content]) -> None:
    names = [content.file for content in contents]
    for index, name in enumerate(names):
        if name.removesuffix(".zim").lower() in _CARDS_OWN_PAGES:
            raise InvalidInput(
                f"A file of the name {name} could not be reached on a card: its own pages are there.",
                field=f"contents[{index}]",
            )
        if name in names[:index]:
            raise InvalidInput(
                f"Two contents have the file name {name}; a card holds one.", field=f"contents[{index}]"
            )


def _fitted(
    store: Store, base: Base, size: str, content_bytes: Sequence[int], field: str, *, has_shelf: bool = True
) -> Fitted:
    media = store.media.every() if size == AUTO_SIZE else [_medium(store, size, field)]
    fitted = None
    for medium in media:
        fitted = Fitted(
            medium, forecast(medium.size_bytes, base.root_bytes, content_bytes, has_shelf=has_shelf)
        )
        if fitted.fit.fits:
            break
    if fitted is None:
        raise InvalidInput("The shop has no medium.", hint="An admin adds one: POST /v1/media.", field="size")
    return fitted


def _does_not_fit(fitted: Fitted, field: str) -> DoesNotFit:
    table = "; ".join(f"{row.what} {row.bytes:,} bytes" for row in fitted.fit.rows)
    return DoesNotFit(
        f"The contents are {-fitted.fit.free_bytes:,} bytes too large for {fitted.medium.name}.",
        hint=f"{table}; image {fitted.medium.size_bytes:,} bytes.",
        field=field,
    )
