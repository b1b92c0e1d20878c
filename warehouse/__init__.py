"""The warehouse: an FTPS server that keeps the images until the writers and the clients have fetched them.

In: sessions with explicit TLS on both channels whose password is a token of the scheduler (the user name is
ignored). The scheduler is asked about each token (``POST /auth/warehouse``) and answers with one operation on
one image, or with the shelf. Out: that image's files, ``<digest>.json`` (manifest), ``.bmap`` (block map),
``.img``, and beside them ``.cdx.json`` (what is in it) and, where it was tried, ``.png`` (its portal page).
An upload writes ``<name>.part``, at any offset (``REST``) and over several sessions at once, so that it goes
on after a cut and leaves holes; renaming to the name without ``.part`` is refused until every chunk of the
image is what its manifest says: the refusal names those that are not.
A token for the shelf brings ZIM files of an organisation's own, lists and deletes them, in the folder that
``warehouse.shelf`` offers: each gets its name when it was found whole and sound. It opens no image.
A download sees the files only when all three are in place; ``RANG`` asks for the bytes of one range.
Everything else that FTP can do is refused.
"""
