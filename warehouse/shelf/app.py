"""The shelf's web pages: a feed for the shop, files for creators, and a list for the person who fills it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from urllib.parse import quote

from flask import Flask, Response, abort, render_template_string, request, send_file

from warehouse.shelf.books import Book, Shelf, illustration
from warehouse.shelf.feed import feed, metalink_of

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Shelf</title>
<style>body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem;border-bottom:1px solid #ccc}
.bad{color:#a40000}</style>
<h1>Shelf</h1>
<p>The catalogue's address for the shop: <code>{{ address }}/catalog/v2/entries?count=-1</code></p>
<table><thead><tr><th>File<th>Title<th>Language<th>MB<th>State</thead>
{% for book in books %}<tr><td>{{ book.file }}<td>{{ book.title }}<td>{{ book.language }}
<td>{{ "{:,.1f}".format(book.size_bytes / 1e6) }}
<td{% if book.problem %} class="bad"{% endif %}>{{ book.problem or "offered" }}
{% else %}<tr><td colspan="5">No ZIM file was read yet. Put some into the folder.{% endfor %}</table>
"""


def make_app(shelf: Shelf, address: str) -> Flask:
    """The application.

    Args:
        shelf: what it shows.
        address: of the shelf as creators reach it, ``http://host:port``: metalinks need whole addresses.
    """
    app = Flask("warehouse.shelf")

    @app.get("/")
    def page() -> str:
        return render_template_string(PAGE, books=shelf.books(), address=address)

    @app.get("/catalog/v2/entries")
    def entries() -> Response:
        offered = [book for book in shelf.books() if not book.problem]
        start = max(0, request.args.get("start", 0, type=int))
        document = feed(offered, start=start, count=request.args.get("count", 10, type=int))
        answer = Response(document, mimetype="application/atom+xml")
        answer.set_etag(hashlib.sha256(document).hexdigest())
        answer.make_conditional(request)
        return answer

    @app.get("/files/<file>.meta4")
    def metalink(file: str) -> Response:
        book = _book(shelf.book, file)
        document = metalink_of(book, f"{address}/files/{quote(book.file)}")
        return Response(document, mimetype="application/metalink4+xml")

    @app.get("/files/<file>")
    def whole(file: str) -> Response:
        # With ranges: creators fetch several pieces at once, and go on where they were cut.
        return send_file(shelf.path(_book(shelf.book, file)).absolute(), "application/octet-stream")

    @app.get("/illustrations/<file>")
    def picture(file: str) -> Response:
        found = illustration(shelf.path(_book(shelf.book, file)))
        if found is None:
            abort(404)
        headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
        return Response(found, mimetype="image/png", headers=headers)

    return app


def _book(find: Callable[[str], Book | None], file: str) -> Book:
    return find(file) or abort(404)
