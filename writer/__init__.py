"""The writer: a Celery worker that puts an image on the card in one slot and proves it.

In: a ``write`` task (image digest, size, unit) and, with its claim, a token for one download. Out: the
outcome ``CardWritten`` (slot, card, verified bytes, seconds by phase), progress, waiting-for-card, and
``slot-changed`` whenever a card comes or goes.
On the way: the image is downloaded once for the host, while cards are written already (``image_cache``,
``image_source``), a card is waited for (``slots``), looked at before the first byte and again when it is
open (``guard``, ``rules``), asked whether it holds what it says (``capacity``), written past the page cache
and read back from the card, some chunks at once (``card``, ``abreast``): all that in a process that can be
left behind when the card hangs (``aside``, ``filling``).
What was verified is remembered before it is told (``ledger``), so that a good card is never overwritten
and a task that comes again after a crash ends with the same card.
A slot is a folder (virtual: the card is the file in it) or a block device, named by its place.
"""
